import type { TensorValue } from '../onnx/tensor-value.js';
import { elementCount } from '../onnx/types.js';
import { conversionOf, convert, toFloat32 } from './convert.js';
import { archiveKeys, headerKeys, percentEncode, safeFileNames } from './file-names.js';
import { randomTensor } from './random.js';
import { RunningSummary, type Summary } from './statistics.js';
import { byteLength, padRows, stackRows, takeRows, tensorFromBytes } from './tensor.js';

function summarize(tensor: TensorValue): Summary {
  const summary = new RunningSummary();
  summary.add(tensor);
  return summary.result();
}

describe('tensors', () => {
  test('sizes that cannot be counted are null, also behind an empty axis', () => {
    expect(elementCount([2 ** 40, 2 ** 40])).toBeNull();
    expect(elementCount([2 ** 40, 2 ** 40, 0])).toBeNull();
    expect(elementCount([0, -1])).toBeNull();
    expect(elementCount([3, 0, 5])).toBe(0);
    expect(byteLength('int4', [3])).toBe(2);
    expect(byteLength('float64', [2 ** 51])).toBeNull();
  });

  test('bytes that are not aligned are copied, bytes of the other order turned, and the given bytes stay as they are', () => {
    const bytes = Buffer.from([9, 1, 2, 3, 4]);
    expect(tensorFromBytes('uint32', [1], bytes.subarray(1)).data).toEqual(Uint32Array.of(0x04030201));
    expect(tensorFromBytes('uint32', [1], bytes.subarray(1), false).data).toEqual(Uint32Array.of(0x01020304));
    expect([...bytes]).toEqual([9, 1, 2, 3, 4]);
  });

  test('rows are taken, stacked and padded along axis 0', () => {
    const tensor = { dtype: 'int16', shape: [3, 2], data: Int16Array.of(1, 2, 3, 4, 5, 6) };
    const parts = [takeRows(tensor, 0, 1), takeRows(tensor, 1, 3)];
    expect(stackRows(parts)).toEqual(tensor);
    expect(padRows(parts[1], 4)).toEqual({
      dtype: 'int16',
      shape: [4, 2],
      data: Int16Array.of(3, 4, 5, 6, 5, 6, 5, 6),
    });
    expect(
      stackRows([
        { dtype: 'string', shape: [1], data: ['a'] },
        { dtype: 'string', shape: [1], data: ['b'] },
      ]),
    ).toEqual({ dtype: 'string', shape: [2], data: ['a', 'b'] });
    expect(() => takeRows({ dtype: 'int4', shape: [4], data: Uint8Array.of(1, 2) }, 0, 1)).toThrow(/packed/);
  });

  test('integers widen, floats convert, nothing else does', () => {
    expect(conversionOf('uint8', 'int16')).toBe('exact');
    expect(conversionOf('uint8', 'int8')).toBeNull();
    expect(conversionOf('int64', 'int32')).toBeNull();
    expect(conversionOf('uint8', 'float32')).toBeNull();
    expect(conversionOf('float32', 'float16')).toBe('rounded');
    expect(conversionOf('bfloat16', 'float32')).toBe('exact');
    expect(conversionOf('bfloat16', 'float16')).toBe('rounded');
    expect(convert({ dtype: 'uint8', shape: [2], data: Uint8Array.of(1, 255) }, 'int64')).toEqual({
      dtype: 'int64',
      shape: [2],
      data: BigInt64Array.of(1n, 255n),
    });
    expect(convert({ dtype: 'float64', shape: [1], data: Float64Array.of(0.1) }, 'float32').data).toEqual(
      Float32Array.of(0.1),
    );
    expect(convert({ dtype: 'float16', shape: [1], data: Uint16Array.of(0xc100) }, 'float64').data).toEqual(
      Float64Array.of(-2.5),
    );
    expect(() => convert({ dtype: 'string', shape: [1], data: ['1'] }, 'float32')).toThrow(/cannot become/);
    expect(toFloat32({ dtype: 'int64', shape: [1], data: BigInt64Array.of(-7n) })).toEqual(Float32Array.of(-7));
  });
});

describe('summaries', () => {
  test('equal a direct computation, however the values are cut into batches, with a mean far from zero', () => {
    const values = Float32Array.from({ length: 20_000 }, (_unused, index) => 4096 + Math.fround(Math.sin(index * 1.7)));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const std = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    const running = new RunningSummary();
    for (let at = 0; at < values.length; at += 7001) {
      const part = values.subarray(at, at + 7001);
      running.add({ dtype: 'float32', shape: [part.length], data: part });
    }
    const { min, max, mean: measured, std: spread, count, nan, infinite } = running.result();
    expect([count, nan, infinite, min, max]).toEqual([20_000, 0, 0, Math.min(...values), Math.max(...values)]);
    expect(measured).toBeCloseTo(mean, 9);
    expect(spread).toBeCloseTo(std, 9);
  });

  test('NaN and infinities are counted and left out', () => {
    expect(summarize({ dtype: 'float32', shape: [5], data: Float32Array.of(NaN, 1, Infinity, 3, -Infinity) })).toEqual({
      count: 5,
      nan: 1,
      infinite: 2,
      min: 1,
      max: 3,
      mean: 2,
      std: 1,
    });
    expect(summarize({ dtype: 'float32', shape: [1], data: Float32Array.of(NaN) })).toEqual({
      count: 1,
      nan: 1,
      infinite: 0,
      min: null,
      max: null,
      mean: null,
      std: null,
    });
    expect(summarize({ dtype: 'float64', shape: [2], data: Float64Array.of(1.5e308, 1.5e308) })).toMatchObject({
      infinite: 0,
      mean: 1.5e308,
    });
  });

  test('every plain dtype has one; strings are only counted', () => {
    expect(summarize({ dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) })).toMatchObject({
      min: -2,
      max: 1,
      mean: -0.5,
      std: 1.5,
    });
    expect(summarize({ dtype: 'int64', shape: [2], data: BigInt64Array.of(-4n, 2n) })).toMatchObject({
      min: -4,
      max: 2,
      mean: -1,
      std: 3,
    });
    expect(summarize({ dtype: 'uint16', shape: [2], data: Uint16Array.of(1, 3) })).toMatchObject({
      min: 1,
      max: 3,
      mean: 2,
      std: 1,
    });
    expect(summarize({ dtype: 'bool', shape: [2], data: Uint8Array.of(0, 1) })).toMatchObject({ mean: 0.5 });
    expect(summarize({ dtype: 'string', shape: [2], data: ['a', 'b'] })).toMatchObject({ count: 2, min: null });
  });
});

describe('random values', () => {
  test('depend on seed, name and shape alone: these numbers hold on every platform', () => {
    const tensor = randomTensor('float32', [2, 2], 42, 'input');
    expect(tensor.data).toEqual(randomTensor('float32', [4], 42, 'input').data);
    expect([...tensor.data]).toEqual(GOLDEN_VALUES);
    expect(randomTensor('float32', [4], 43, 'input').data).not.toEqual(tensor.data);
    expect(randomTensor('float32', [4], 42, 'other').data).not.toEqual(tensor.data);
    expect(randomTensor('float32', [4], 42 + 2 ** 40, 'input').data).not.toEqual(tensor.data);
  });

  test('floats have mean 0 and spread 1, integers stay in range', () => {
    const { mean, std, max } = summarize(randomTensor('float32', [100_000], 1, 'x'));
    expect(Math.abs(mean ?? 1)).toBeLessThan(0.01);
    expect(Math.abs((std ?? 0) - 1)).toBeLessThan(0.01);
    expect(max).toBeGreaterThan(2.5);
    expect(summarize(randomTensor('uint8', [10_000], 1, 'x'))).toMatchObject({ min: 0, max: 255 });
    expect(summarize(randomTensor('int64', [100], 1, 'x'))).toMatchObject({ min: 0, max: 1 });
    expect(() => randomTensor('string', [1], 1, 'x')).toThrow(/no random values/);
    expect(() => randomTensor('float32', [1], -1, 'x')).toThrow(/seed/);
  });
});

const GOLDEN_VALUES: readonly number[] = [
  -0.3598307967185974, -0.44289714097976685, 1.8303930759429932, 1.198687195777893,
];

describe('names of files and keys', () => {
  test('file names hold no separator, device, dot file or control character, and stay distinct', () => {
    const names = [
      '/layer1/Relu_output_0',
      '../../etc/passwd',
      '',
      'CON',
      'con.txt',
      '.hidden',
      'a.',
      'Ab',
      'aB',
      'ü',
      'u\u0308',
      'a\0b',
      '\udc80',
      'x'.repeat(500),
      `${'x'.repeat(499)}y`,
      'a%2Fb',
      'a/b',
    ];
    const files = safeFileNames(names);
    for (const file of files) expect(file).toMatch(/^[A-Za-z0-9%_-]([A-Za-z0-9%_.-]*[A-Za-z0-9%_-])?$/);
    expect(new Set(files.map((file) => file.toLowerCase())).size).toBe(names.length);
    expect(files[0]).toBe('%2Flayer1%2FRelu_output_0');
    expect(files[3]).toBe('%43ON');
    expect(Math.max(...files.map(({ length }) => length))).toBeLessThanOrEqual(200);
    expect(percentEncode('1.2')).toBe('1.2');
  });

  test('keys are the names but where no archive can hold them', () => {
    expect(archiveKeys(['/layer1/Relu_output_0', '1', 'ü'])).toEqual(['/layer1/Relu_output_0', '1', 'ü']);
    expect(headerKeys(['a\0b', '\udc80', '', '__metadata__'], ['__metadata__'])).toEqual([
      'a%00b',
      '%80',
      '%',
      '%5F_metadata__',
    ]);
    expect(new Set(archiveKeys(['%80', '\udc80'])).size).toBe(2);
  });
});
