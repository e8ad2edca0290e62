import { encodeFrame, FrameReader } from './frames.js';

test('frames survive being cut anywhere', () => {
  const payloads = [new Uint8Array(0), Uint8Array.from([1, 2, 3]), new Uint8Array(3_000).fill(7)];
  const whole = Buffer.concat([
    ...encodeFrame({ value: { a: 'ä' }, payloads }),
    ...encodeFrame({ value: 2, payloads: [] }),
  ]);
  for (const size of [1, 7, 15, 16, 17, 1_000, whole.length]) {
    const reader = new FrameReader();
    const frames = [];
    for (let at = 0; at < whole.length; at += size) frames.push(...reader.push(whole.subarray(at, at + size)));
    expect(frames).toEqual([
      { value: { a: 'ä' }, payloads },
      { value: 2, payloads: [] },
    ]);
  }
});
