// A page that the store allows. It leaves one object, `kept`.
import { objects } from "/objects.js";
import { parts } from "/parts.js";
import { urls } from "/urls.js";

await objects();
await parts();
await urls();
await report(true);
