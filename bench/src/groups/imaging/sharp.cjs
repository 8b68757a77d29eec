// Makes pictures of one file with sharp, two files in flight, and says what that took.
// usage: node sharp.cjs '{ file, way, wanted: [{ name, width, height, format, quality }], rounds, folder }'
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const sharp = require(path.join(process.env.SAFELIGHT_PEERS, "node_modules/sharp"));

const { file, way, wanted, rounds, folder } = JSON.parse(process.argv[2]);
const input = fs.readFileSync(file);
const inside = { fit: "inside", withoutEnlargement: true };
const encode = (image, { format, quality }) => image.toFormat(format, { quality }).toBuffer();

const ways = {
  // As people call it: each picture from the file.
  calls: () =>
    Promise.all(
      wanted.map((one) => encode(sharp(input).rotate().resize(one.width, one.height, inside), one)),
    ),
  // By hand: the largest from the file, each other from the one before, without encoding in between.
  cascade: async () => {
    const made = new Array(wanted.length);
    const order = wanted.map((one, at) => [one, at]).sort(([a], [b]) => b.width - a.width);
    let before = sharp(input).rotate();
    for (const [one, at] of order) {
      const raw = before.resize(one.width, one.height, inside).raw();
      const { data, info } = await raw.toBuffer({ resolveWithObject: true });
      const again = () => sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } });
      made[at] = await encode(again(), one);
      before = again();
    }
    return made;
  },
};

(async () => {
  const made = await ways[way]();
  made.forEach((bytes, at) => fs.writeFileSync(path.join(folder, wanted[at].name), bytes));
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  let left = rounds;
  const lane = async () => {
    while (left-- > 0) await ways[way]();
  };
  await Promise.all([lane(), lane()]);
  const used = process.cpuUsage(before);
  process.stdout.write(
    JSON.stringify({
      cpu_ms: (used.user + used.system) / 1000 / rounds,
      wall_ms: Number(process.hrtime.bigint() - began) / 1e6 / rounds,
      peak_mb: process.resourceUsage().maxRSS / 1024,
    }),
  );
})();
