// What the test of the gateway uses of tus-js-client, in one module.
export { Upload } from "tus-js-client";
