import { checkRandomNodes } from '../testing/shapes/random-check.js';

test('random nodes: what is inferred is what a run of ONNX Runtime gives, in numbers and in formulas', async () => {
  const { outputs, numeric, formulas, differences } = await checkRandomNodes(150, 1);
  expect(differences).toEqual([]);
  expect(outputs).toBeGreaterThan(140);
  expect(numeric).toBe(outputs);
  expect(formulas / outputs).toBeGreaterThan(0.98);
});
