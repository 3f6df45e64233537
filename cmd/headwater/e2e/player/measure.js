// Watches a <video> and says how it played. Loaded into the player page and into any page that plays by itself.
"use strict";

const SAMPLE_MS = 100; // how often the position is read
const POSITION_MS = 500; // how often it is kept
const FREEZE_MS = 500; // a position that stands still for longer is a stall
const JUMP_S = 1; // a position that runs ahead of the clock by more, or goes back, is a seek

// newReport returns what measure fills in; a page may add to errors and fatal at any time.
function newReport() {
  return {
    startMs: -1, playedSeconds: 0, rate: 0, stalls: 0, longestStallMs: 0, jumps: 0, jumpedSeconds: 0, ended: false,
    fatal: [], errors: [], audioDecodedBytes: 0, audioGrew: false, videoDecodedFrames: 0, droppedFrames: 0,
    width: 0, height: 0, firstPosition: 0, lastPosition: 0, latency: 0, seekableStart: 0, seekableEnd: 0, positions: [],
  };
}

// measure resolves after `seconds` of watching from the first movement, at the end of the media, or when nothing has
// moved for `startTimeoutMs`. since is the performance.now() at which the player was told to load.
function measure(video, report, seconds, startTimeoutMs, since) {
  video.addEventListener("error", () => {
    report.fatal.push("video: " + (video.error ? video.error.code + " " + video.error.message : "unknown"));
  });
  return new Promise((resolve) => {
    let last = { wall: performance.now(), at: video.currentTime };
    let first = null, moving = 0, frozen = 0, kept = 0, audioAtStart = 0;
    const finish = () => {
      clearInterval(timer);
      if (first) {
        const wall = (last.wall - first.wall) / 1000;
        report.playedSeconds = last.at - first.at - report.jumpedSeconds;
        report.rate = wall > 0 ? report.playedSeconds / wall : 0;
        report.audioGrew = video.webkitAudioDecodedByteCount > audioAtStart;
        report.firstPosition = first.at;
        report.lastPosition = last.at;
      }
      const quality = video.getVideoPlaybackQuality();
      report.audioDecodedBytes = video.webkitAudioDecodedByteCount || 0;
      report.videoDecodedFrames = quality.totalVideoFrames;
      report.droppedFrames = quality.droppedVideoFrames;
      report.width = video.videoWidth;
      report.height = video.videoHeight;
      if (video.seekable.length) {
        report.seekableStart = video.seekable.start(0);
        report.seekableEnd = video.seekable.end(video.seekable.length - 1);
      }
      resolve(report);
    };
    const sample = () => {
      const now = { wall: performance.now(), at: video.currentTime };
      const wall = now.wall - last.wall, moved = now.at - last.at;
      if (!first) {
        moving = moved > 0 && moved < JUMP_S ? moving + 1 : 0;
        if (moving >= 3) {
          first = now;
          audioAtStart = video.webkitAudioDecodedByteCount || 0;
          report.startMs = Math.round(now.wall - since);
        } else if (now.wall - since > startTimeoutMs) {
          report.fatal.push("did not start within " + startTimeoutMs + " ms");
          last = now;
          return finish();
        }
      } else {
        if (moved - wall / 1000 > JUMP_S || moved < 0) {
          report.jumps++;
          report.jumpedSeconds += moved - wall / 1000;
        }
        const before = frozen;
        frozen = moved < 0.1 * wall / 1000 && !video.ended ? frozen + wall : 0;
        if (before < FREEZE_MS && frozen >= FREEZE_MS) report.stalls++;
        report.longestStallMs = Math.max(report.longestStallMs, Math.round(frozen >= FREEZE_MS ? frozen : 0));
      }
      if (now.wall - kept >= POSITION_MS) {
        kept = now.wall;
        report.positions.push([Math.round(now.wall - since), Math.round(now.at * 1000) / 1000]);
      }
      last = now;
      report.ended = video.ended;
      if (first && (video.ended || now.wall - first.wall >= seconds * 1000)) finish();
    };
    const timer = setInterval(sample, SAMPLE_MS);
  });
}
