import { readFileSync } from 'node:fs';
import { runRecipe, type RecipeCase } from '../testing/recipes.js';

const CASES = JSON.parse(readFileSync('fixtures/recipes/cases.json', 'utf8')) as readonly RecipeCase[];

describe.each([9, 12, 18])('at opset %d, against what PyTorch gave', (opset) => {
  test.each(CASES.map((each) => [each.name, each] as const))('%s', async (_name, each) => {
    const result = await runRecipe(each, opset);
    if (opset < each.since) {
      expect(result).toBeNull();
      return;
    }
    expect(result?.shape).toEqual(each.want.shape);
    expect(result?.declared).toEqual(each.want.shape);
    expect(result?.dtype).toBe(each.want.dtype);
    expect(result?.error).toBeLessThanOrEqual(each.error);
  });
});
