// What pages import as @uppy/aws-s3.
export { default } from "@uppy/aws-s3";
