// Parses an HLS playlist from standard input with hls-parser in its strict mode; prints what it is or fails.
import { readFileSync } from "node:fs";
import HLS from "hls-parser";

HLS.setOptions({ strictMode: true });
const playlist = HLS.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({
  master: playlist.isMasterPlaylist, variants: playlist.variants?.length, segments: playlist.segments?.length,
  targetDuration: playlist.targetDuration, mediaSequenceBase: playlist.mediaSequenceBase,
}));
