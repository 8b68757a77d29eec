// What pages import as @uppy/tus.
export { default } from "@uppy/tus";
