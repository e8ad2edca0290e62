// What the imports of app.js ask for, for every bundler below: ?featx=pyramid, ?featx=vector.
export const cuts = {
  pyramid: { out: [1, 2, 3], outMap: ['p2', 'p3', 'p4'] },
  vector: { embedding: true, normalize: true },
};
