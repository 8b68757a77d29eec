// What the page of the browser's test uses of the AWS SDK for JavaScript, in one module.
export * from "@aws-sdk/client-s3";
export { Upload } from "@aws-sdk/lib-storage";
export { createPresignedPost } from "@aws-sdk/s3-presigned-post";
export { getSignedUrl } from "@aws-sdk/s3-request-presigner";
