// What the pages of these tests share: the guide's recipe, with the tokens that a backend would give.
export const plan = await (await fetch("/plan")).json();

const recipes = { store: "/to-the-store.js", gateway: "/through-the-gateway.js" };
const recipe = await import(recipes[plan.way]);
const [make] = Object.values(recipe);

// In pages without TLS browsers have none.
if (plan.hashes === false) Object.defineProperty(crypto, "subtle", { value: undefined });

/** The app, as it is when its page is loaded. */
export function app() {
    const tokens = [...plan.tokens];
    const token = async () => (tokens.length > 1 ? tokens.shift() : tokens[0]);
    const uppy = make(plan.api, token);
    // Version 5 sends parts over six connections at once. Over two, each is used until it breaks.
    const five = uppy.getPlugin("AwsS3Multipart");
    if (five) five.requests.limit = 2;
    return uppy;
}

/** Adds a file that the test made, as if the user had chosen it. */
export async function choose(uppy, name) {
    const bytes = await (await fetch(`/${name}`)).blob();
    return uppy.addFile(new File([bytes], name, { type: "image/jpeg", lastModified: 1795000000000 }));
}

/** Sends what was chosen; all of it must arrive. */
export async function send(uppy, count) {
    const { successful, failed } = await uppy.upload();
    same(failed.map((file) => `${file.name}: ${file.error}`), []);
    same(successful.length, count);
    return successful;
}
