// What pages import as @uppy/core.
export { default } from "@uppy/core";
