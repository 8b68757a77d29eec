// What the page that plays clips in pieces uses of hls.js, in one module.
export { default as Hls } from "hls.js";
