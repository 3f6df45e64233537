// The console: asks for the state every two seconds, changes only what differs on the page, and plays what is asked for.
// Text enters the page as text nodes alone.
"use strict";

const refresh = 2000; // ms between two questions
const $ = (id) => document.getElementById(id);

let state = { now: Date.now(), channels: [] };
let offset = 0; // the server's clock minus ours, ms
let selected = decodeURIComponent(location.hash.slice(1)); // "group/name"
let autoplay = true; // until something has been played or stopped

// ---- Page ------------------------------------------------------------------------------------------------------------

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

// put sets a property only when it changes, so that selections and focus survive a refresh.
function put(node, property, value) {
  if (node[property] !== value) node[property] = value;
}

// sync makes the children of parent those of items: kept by key, made by make, filled by fill, in order.
function sync(parent, items, key, make, fill) {
  const old = new Map([...parent.children].map((n) => [n.dataset.key, n]));
  const focused = document.activeElement; // which loses the focus where its node moves
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    let node = old.get(k);
    if (!node) {
      node = make(item);
      node.dataset.key = k;
    }
    old.delete(k);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
    fill(node, item);
  }
  for (const node of old.values()) node.remove();
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

// table fills a table from columns {head, text(item), className(item), dot(item)}, or {head, word(item), press(item)} of buttons,
// which are there while they have a word.
function table(node, columns, items, key) {
  if (!node.tHead) {
    const row = node.createTHead().insertRow();
    for (const c of columns) row.append(element("th", c.number ? "number" : "", c.head));
    node.createTBody();
  }
  const make = () => element("tr", "", ...columns.map(() => element("td")));
  sync(node.tBodies[0], items, key, make, (row, item) => {
    columns.forEach((c, i) => {
      const cell = row.cells[i];
      if (c.press) {
        fillButton(cell, c, item);
        return;
      }
      put(cell, "className", [c.number ? "number" : "", c.className ? c.className(item) : ""].join(" ").trim());
      if (c.dot) {
        if (!cell.firstElementChild) cell.append(element("span", "dot"), document.createTextNode(""));
        put(cell.firstElementChild, "className", "dot " + style(c.dot(item)));
        put(cell.firstElementChild, "title", c.dot(item));
        put(cell.lastChild, "data", c.text(item));
      } else {
        put(cell, "textContent", c.text(item));
      }
    });
  });
}

function fillButton(cell, column, item) {
  let button = cell.firstElementChild;
  if (!button) {
    button = element("button");
    button.type = "button";
    cell.append(button);
  }
  const word = column.word(item);
  put(button, "textContent", word);
  put(button, "hidden", !word);
  button.onclick = () => column.press(item);
}

function facts(node, pairs) {
  const make = ([name]) => element("div", "", element("dt", "", name), element("dd"));
  sync(node, pairs.filter(([, v]) => v !== ""), ([name]) => name, make, (row, [, v]) => put(row.lastChild, "textContent", v));
}

// ---- Words -----------------------------------------------------------------------------------------------------------

const style = (health) => (health === "no media" ? "none" : health);
const serverNow = () => Date.now() + offset;

function age(since, digits = 1) {
  if (!since) return "never";
  const s = Math.max(0, (serverNow() - since) / 1000);
  if (s < 100) return s.toFixed(digits) + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  if (s < 129600) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " d";
}

// ago says how long ago an instant was, which the page says anew all the time.
const ago = (at) => (at ? age(at, 0) + " ago" : "never");

// instant returns a moment as time of day, with the date unless it is today's.
function instant(at) {
  if (!at) return "";
  const [date, time] = new Date(at).toISOString().split("T");
  const today = new Date(serverNow()).toISOString().startsWith(date);
  return (today ? "" : date + " ") + time.slice(0, 8) + " UTC";
}

function bitrate(b) {
  if (!b) return "";
  return b < 1e6 ? Math.round(b / 1000) + " kbit/s" : (b / 1e6).toFixed(2) + " Mbit/s";
}

function shape(t) {
  if (t.kind === "video") {
    const rate = t.frameRate ? " @ " + +t.frameRate.toFixed(3) : "";
    return t.width ? t.width + "\u00d7" + t.height + rate : "";
  }
  const channels = { 1: "mono", 2: "stereo", 6: "5.1", 8: "7.1" }[t.channels] || (t.channels ? t.channels + " ch" : "");
  return [t.sampleRate ? t.sampleRate / 1000 + " kHz" : "", channels].filter(Boolean).join(" ");
}

const trackColumns = [
  { head: "Track", text: (t) => t.id, dot: (t) => t.health },
  { head: "Kind", text: (t) => t.kind },
  { head: "Codec", text: (t) => t.codec, className: () => "mono" },
  { head: "Format", text: shape },
  { head: "Language", text: (t) => t.language || "\u2013" },
  { head: "Bitrate", text: (t) => bitrate(t.bitrate), number: true },
  { head: "Segment", text: (t) => (t.segmentDuration ? t.segmentDuration.toFixed(3) + " s" : ""), number: true },
  { head: "Newest", text: (t) => (t.lastNumber ? String(t.lastNumber) : ""), number: true },
  { head: "Age", text: (t) => age(t.lastArrived), number: true, className: (t) => (t.health === "stale" ? "alarm" : "") },
  { head: "Stored", text: (t) => String(t.segments), number: true },
  { head: "Gaps", text: (t) => String(t.gaps), number: true, className: (t) => (t.gaps ? "stale" : "") },
];

const inputColumns = [
  { head: "Input", text: (i) => String(i.number), dot: (i) => (i.ended ? "ended" : i.active ? "ok" : "no media") },
  {
    head: "State",
    text: (i) => (i.ended ? "ended " + ago(i.ended) : i.active ? "active" : i.lastPush ? "standby" : "unused") +
      (i.held ? (i.active ? ", held" : ", asked for") : ""),
  },
  {
    head: "", word: (i) => (i.held ? "Let go" : i.active ? "" : i.up ? "Make active" : ""),
    press: (i) => makeActive(current(), i.held ? null : i.number),
  },
  { head: "Protocol", text: (i) => i.protocol || "\u2013" },
  { head: "Encoder", text: (i) => i.encoder || "\u2013" },
  { head: "Last push", text: (i) => age(i.lastPush), number: true },
  { head: "Accepted", text: (i) => String(i.accepted), number: true },
  { head: "Rejected", text: (i) => String(i.rejected), number: true, className: (i) => (i.rejected ? "alarm" : "") },
  {
    head: "Last reason", className: () => "reason",
    text: (i) => (i.lastReason ? i.lastReason + (i.lastRejected ? " (" + ago(i.lastRejected) + ")" : "") : "\u2013"),
  },
];

// ---- Push report -----------------------------------------------------------------------------------------------------

const seconds = (s) => +s.toFixed(2) + " s";
const between = (s) => (s.Min === s.Max ? seconds(s.Usual) : seconds(s.Usual) + " (" + +s.Min.toFixed(2) + " to " + seconds(s.Max) + ")");


// drift says how the encoder's clock goes against the server's.
function drift(input) {
  if (input.ClockDriftMilliseconds === null) return "\u2013";
  const signed = (n) => (n > 0 ? "+" : "") + n;
  return signed(input.ClockDriftMilliseconds) + " ms" + (input.ClockDriftPPM === null ? "" : " (" + signed(input.ClockDriftPPM) + " ppm)");
}

const pushedColumns = [
  { head: "Input", text: (t) => String(t.input.Input) },
  { head: "Track", text: (t) => t.Name },
  { head: "Clock", text: (t) => t.input.Clock },
  { head: "Clock drift", text: (t) => drift(t.input), number: true },
  { head: "Last minute", text: (t) => bitrate(t.Bitrate), number: true },
  { head: "Segments", text: (t) => between(t.SegmentSeconds), number: true },
  { head: "Key frames", text: (t) => (t.KeyFrameSeconds ? between(t.KeyFrameSeconds) : "\u2013"), number: true },
  { head: "Late by", text: (t) => between(t.ArrivalSecondsLate), number: true },
  {
    head: "Audio starts", number: true,
    text: (t) => (t.Kind === "audio" && t.input.AudioOffsetMilliseconds !== null ? t.input.AudioOffsetMilliseconds + " ms" : "\u2013"),
  },
];

const refusedColumns = [
  { head: "Refused", text: (e) => instant(Date.parse(e.Time)) },
  { head: "Input", text: (e) => String(e.input.Input) },
  { head: "Name", text: (e) => e.Name, className: () => "mono" },
  { head: "Reason", text: (e) => e.Reason },
  { head: "Message", text: (e) => e.Message, className: () => "reason" },
];

let report = null; // of the channel that is selected, or null

const reportURL = (c) => "../v1/channels/" + [c.group, c.name].map(encodeURIComponent).join("/") + "/ingest";

async function askReport() {
  const c = current();
  if (!c) return;
  const reply = await fetch(reportURL(c), { cache: "no-store" });
  report = reply.ok ? await reply.json() : null; // 404: the channel has just gone
  showReport();
}

// makeActive has an input of a channel become active and be held, or with null lets go of the one that is.
async function makeActive(c, input) {
  let words = "";
  try {
    const reply = await fetch(reportURL(c) + "/active", {
      method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ Active: input }),
    });
    if (!reply.ok) words = (await reply.json()).Message;
  } catch (err) {
    words = err.message;
  }
  put($("unmoved"), "textContent", words);
  put($("unmoved"), "hidden", !words);
}

function showReport() {
  const c = current();
  const shown = c && report && id(c) === report.ChannelGroupName + "/" + report.ChannelName ? report.Inputs : [];
  if (c) put($("report"), "href", new URL(reportURL(c), location.href).href);
  const all = (field) => shown.flatMap((input) => input[field].map((v) => ({ ...v, input })));
  const advice = all("Advice");
  if (!advice.length && all("Tracks").length) advice.push({ Text: "Nothing to change: what the encoders send is as players need it." });
  sync($("advice"), advice, (a) => [a.input?.Input, a.Reason, a.Track].join(), () => element("li", "", element("span", "about"), ""), (node, a) => {
    put(node, "className", a.Reason ? "" : "fine");
    put(node.firstChild, "textContent", a.Reason ? ["input " + a.input.Input, a.Track].filter(Boolean).join(", ") : "");
    put(node.lastChild, "data", a.Text);
  });
  table($("pushed"), pushedColumns, all("Tracks"), (t) => t.input.Input + t.Name);
  const errors = all("Errors").sort((a, b) => Date.parse(b.Time) - Date.parse(a.Time));
  put($("refused").parentElement, "hidden", errors.length === 0);
  put($("pushed").parentElement, "hidden", all("Tracks").length === 0);
  table($("refused"), refusedColumns, errors.map((e, i) => ({ ...e, i })), (e) => e.i);
}

// ---- Channels --------------------------------------------------------------------------------------------------------

const id = (c) => c.group + "/" + c.name;
const current = () => state.channels.find((c) => id(c) === selected);
const newest = (c) => Math.max(0, ...c.tracks.map((t) => t.lastArrived));
const heard = (c) => Math.max(newest(c), ...c.inputs.map((i) => i.lastPush)); // pushes are forgotten at a restart, media is not
const names = new Intl.Collator("en", { numeric: true });
const worst = ["stale", "no media", "ended", "ok"];

// listed returns the channels that have all words of the filter in name or health, in the order that is chosen.
function listed() {
  const words = $("filter").value.toLowerCase().split(/\s+/);
  const byHealth = $("order").value === "health";
  return state.channels
    .filter((c) => words.every((w) => (id(c) + " " + c.health).toLowerCase().includes(w)))
    .sort((a, b) => (byHealth && worst.indexOf(a.health) - worst.indexOf(b.health)) || names.compare(id(a), id(b)));
}

function show() {
  put($("clock"), "textContent", new Date(serverNow()).toISOString().slice(0, 19).replace("T", " ") + " UTC");
  const count = (h) => state.channels.filter((c) => c.health === h).length;
  const words = [[count("ok"), "ok"], [count("stale"), "stale"], [count("ended"), "ended"], [count("no media"), "without media"]];
  put($("summary"), "textContent", words.filter(([n]) => n).map(([n, w]) => n + " " + w).join(" \u00b7 "));
  if (!current() && state.channels.length) selected = id(state.channels.find((c) => c.health === "ok") ?? state.channels[0]);
  const shown = listed();
  put($("find"), "hidden", state.channels.length < 2);
  put($("count"), "textContent", shown.length < state.channels.length ? shown.length + " of " + state.channels.length : "");
  sync($("channels"), shown, id, (c) => {
    const link = element("a", "", element("span", "dot"),
      element("span", "name", element("span", "group", c.group + "/"), c.name), element("span", "edge"));
    link.href = "#" + id(c).split("/").map(encodeURIComponent).join("/");
    return element("li", "", link);
  }, (node, c) => {
    const link = node.firstChild;
    put(link.children[0], "className", "dot " + style(c.health));
    put(link.children[0], "title", c.health);
    put(link.children[2], "textContent", newest(c) ? age(newest(c)) : "");
    if (id(c) === selected) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  put($("empty"), "hidden", state.channels.length > 0);
  put($("channel"), "hidden", state.channels.length === 0);
  if (current()) showChannel(current());
  else put($("push"), "textContent", pushCommand());
}

function pushCommand() {
  return "ffmpeg -re -f lavfi -i testsrc2=size=640x360:rate=25 -re -f lavfi -i sine=frequency=440:sample_rate=48000 \\\n" +
    "  -c:v libx264 -preset veryfast -g 50 -keyint_min 50 -sc_threshold 0 -b:v 800k -pix_fmt yuv420p -c:a aac -b:a 96k \\\n" +
    "  -f hls -hls_time 2 -hls_flags program_date_time -ignore_io_errors 1 -method PUT " + (state.ingest || "") + "/in/v1/default/1/test/index.m3u8";
}

function showChannel(c) {
  if ($("name").dataset.id !== id(c)) {
    $("name").dataset.id = id(c);
    $("name").replaceChildren(element("span", "", c.group + "/"), c.name);
  }
  put($("health"), "textContent", c.health);
  put($("health"), "className", "badge " + style(c.health));
  const edge = Math.max(0, ...c.tracks.map((t) => t.lastEnd));
  facts($("facts"), [
    ["Encoder heard", ago(heard(c))],
    ["Live edge", instant(edge)],
    ["Numbering", c.numbering],
    ["Discontinuities", String(c.discontinuities)],
  ]);
  table($("tracks"), trackColumns, c.tracks, (t) => t.id);
  table($("inputs"), inputColumns, c.inputs, (i) => i.number);
  sync($("endpoints"), c.endpoints, (e) => id(c) + "/" + e.name, makeEndpoint, fillEndpoint);
  if (autoplay && c.health !== "no media") {
    const e = c.endpoints.find((e) => e.manifests.length);
    if (e) play(c, e, e.manifests[0]);
  }
}

function makeEndpoint(e) {
  return element("div", "endpoint", element("h4", "", e.name, element("small")), element("div", "manifests"));
}

function fillEndpoint(node, e) {
  const notes = [e.container];
  if (e.startoverWindow) notes.push("start-over " + span(e.startoverWindow));
  if (e.timeDelay) notes.push("delayed by " + span(e.timeDelay));
  put(node.querySelector("small"), "textContent", notes.join(" \u00b7 "));
  sync(node.querySelector(".manifests"), e.manifests, (m) => m.url, (m) => {
    const link = element("a", "mono", element("bdi", "", m.url));
    link.href = link.title = m.url;
    link.target = "_blank";
    link.rel = "noopener";
    const copy = element("button", "", "Copy");
    copy.addEventListener("click", () => copyText(m.url, copy));
    const start = element("button", "play", "Play");
    start.addEventListener("click", () => play(current(), e, m));
    for (const b of [copy, start]) b.type = "button";
    return element("div", "manifest", element("span", "type", m.type.toUpperCase()), link, copy, start);
  }, (row, m) => row.classList.toggle("current", playing !== null && playing.manifest.url === m.url));
}

function span(seconds) {
  if (seconds < 120) return seconds + " s";
  return seconds < 7200 ? Math.round(seconds / 60) + " min" : +(seconds / 3600).toFixed(1) + " h";
}

async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not a secure context
    const area = element("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1200);
}

// ---- Player ----------------------------------------------------------------------------------------------------------

let playing = null; // {channel, endpoint, manifest, stop(), stats()}

// players make a player of a URL on the video element, which begins at from (seconds since the epoch) or, with 0, at the live
// edge; each returns stop() and stats(), pairs of words.
const players = {
  hls(video, url, fail, from) {
    if (!window.Hls || !Hls.isSupported()) return native(video, url, fail);
    const hls = new Hls(from ? { startPosition: 0 } : {});
    let recovered = 0;
    hls.on(Hls.Events.ERROR, (_, e) => {
      if (!e.fatal) return;
      if (e.type === Hls.ErrorTypes.MEDIA_ERROR && recovered++ < 2) hls.recoverMediaError();
      else fail("hls.js: " + e.details + (e.response ? " (status " + e.response.code + ")" : ""));
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => start(video));
    hls.loadSource(url);
    hls.attachMedia(video);
    return {
      stop: () => hls.destroy(),
      stats: () => {
        const level = hls.levels[hls.currentLevel];
        return [
          ["Player", "hls.js"],
          ["Rendition", level ? (level.height ? level.width + "\u00d7" + level.height + ", " : "") + bitrate(level.bitrate) : ""],
          ["Latency", hls.latency ? hls.latency.toFixed(1) + " s" : ""],
        ];
      },
    };
  },
  dash(video, url, fail, from) {
    if (!window.dashjs) throw new Error("dash.js did not load");
    const player = dashjs.MediaPlayer().create();
    player.updateSettings({
      debug: { logLevel: dashjs.Debug.LOG_LEVEL_ERROR },
      // Where a manifest names no clock, ours; dash.js would ask a third party.
      streaming: { utcSynchronization: { defaultTimingSource: { scheme: "urn:mpeg:dash:utc:http-xsdate:2014", value: state.public + "/time" } } },
    });
    player.on(dashjs.MediaPlayer.events.ERROR, (e) => fail("dash.js: " + (e.error.message || e.error.code || e.error)));
    player.initialize(video, url, true, from ? "posix:" + from : undefined);
    return {
      stop: () => player.destroy(),
      stats: () => {
        let r = null;
        let latency = NaN;
        try { // not before the stream is set up
          r = player.getCurrentRepresentationForType("video");
          latency = player.getCurrentLiveLatency();
        } catch { /* asked again in a moment */ }
        return [
          ["Player", "dash.js"],
          ["Rendition", r ? r.width + "\u00d7" + r.height + ", " + bitrate(r.bandwidth) : ""],
          ["Latency", Number.isFinite(latency) && latency > 0 ? latency.toFixed(1) + " s" : ""],
        ];
      },
    };
  },
};
players.mss = (video, url, fail) => {
  if (!window.dashjs || !dashjs.MssHandler) throw new Error("dash.js or its Smooth plug-in did not load");
  return players.dash(video, url, fail, 0);
};

function native(video, url, fail) {
  if (!video.canPlayType("application/vnd.apple.mpegurl")) throw new Error("hls.js did not load or cannot run here");
  const failed = () => fail("the browser: " + (video.error ? video.error.message || "code " + video.error.code : "unknown error"));
  video.addEventListener("error", failed);
  video.src = url;
  start(video);
  return {
    stop: () => {
      video.removeEventListener("error", failed);
      video.removeAttribute("src");
      video.load();
    },
    stats: () => [["Player", "browser"]],
  };
}

function start(video) {
  video.play().catch(() => {}); // refused by the browser: the controls are there
}

function play(c, e, m) {
  stop();
  autoplay = false;
  const ago = m.type === "mss" ? 0 : Math.min(Number($("from").value) || 0, e.startoverWindow);
  const from = ago ? Math.floor((serverNow() / 1000 - ago) / 2) * 2 : 0;
  const url = from ? m.url + "?start=" + from : m.url;
  put($("trouble"), "hidden", true);
  const fail = (words) => {
    put($("trouble"), "textContent", words);
    put($("trouble"), "hidden", false);
  };
  try {
    playing = { channel: c, endpoint: e, manifest: m, ...players[m.type]($("video"), url, fail, from) };
  } catch (err) {
    fail(err.message);
    return;
  }
  put($("playing"), "textContent", id(c) + " \u00b7 " + e.name + "/" + m.name + " \u00b7 " + m.type.toUpperCase());
  put($("stop"), "disabled", false);
  starts(c, e);
  show();
}

function stop() {
  if (!playing) return;
  playing.stop();
  playing = null;
  put($("playing"), "textContent", "Nothing is playing");
  put($("stop"), "disabled", true);
  $("stats").replaceChildren();
}

// starts offers as points of departure what the endpoint's start-over window reaches.
function starts(c, e) {
  const choices = [[0, "Live"], [60, "1 min ago"], [600, "10 min ago"], [3600, "1 h ago"]];
  const usable = choices.filter(([s]) => s === 0 || (s <= e.startoverWindow && playing.manifest.type !== "mss"));
  sync($("from"), usable, ([s]) => s, ([s, words]) => {
    const option = element("option", "", words);
    option.value = s;
    return option;
  }, () => {});
}

function showStats() {
  if (!playing) return;
  const video = $("video");
  const ahead = video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : 0;
  const quality = video.getVideoPlaybackQuality();
  facts($("stats"), [
    ...playing.stats(),
    ["Buffer", ahead.toFixed(1) + " s"],
    ["Dropped", quality.droppedVideoFrames + " of " + quality.totalVideoFrames],
  ]);
}

// ---- Run -------------------------------------------------------------------------------------------------------------

async function ask() {
  try {
    const reply = await fetch("api/channels", { cache: "no-store" });
    if (!reply.ok) throw new Error("status " + reply.status);
    state = await reply.json();
    offset = state.now - Date.now();
    put($("offline"), "hidden", true);
    show();
    await askReport();
  } catch (err) {
    put($("offline"), "textContent", "The server does not answer (" + err.message + "). What is shown is old.");
    put($("offline"), "hidden", false);
  }
  setTimeout(ask, refresh);
}

window.addEventListener("hashchange", () => {
  selected = decodeURIComponent(location.hash.slice(1));
  show();
  showReport();
  askReport().catch(() => {}); // asked again in a moment, and told then
});
for (const control of ["filter", "order"]) $(control).addEventListener("input", show);
$("nav").addEventListener("keydown", (e) => {
  if (e.target === $("order")) return; // has its own use for these keys
  const links = [...$("channels").querySelectorAll("a")];
  const at = links.indexOf(e.target); // -1: the filter
  if (e.key === "ArrowDown") links[at + 1]?.focus();
  else if (e.key === "ArrowUp") (links[at - 1] ?? $("filter")).focus();
  else if (e.key === "Enter" && at < 0) links[0]?.click();
  else if (e.key === "Escape") {
    $("filter").value = "";
    $("filter").focus();
    show();
  } else return;
  e.preventDefault();
});
document.addEventListener("keydown", (e) => {
  if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, select")) return;
  e.preventDefault();
  $("filter").focus();
});
$("stop").addEventListener("click", () => {
  autoplay = false;
  stop();
  show();
});
$("from").addEventListener("change", () => {
  if (playing) play(playing.channel, playing.endpoint, playing.manifest);
});
for (const b of document.querySelectorAll("[data-copies]")) {
  b.addEventListener("click", () => copyText($(b.dataset.copies).textContent, b));
}
setInterval(() => {
  if (state.channels.length) show();
  showStats();
}, 500);
ask();
