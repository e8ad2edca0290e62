import {
  node,
  value,
  type AttributeSpec,
  type Entries,
  type GraphSpec,
  type ModelSpec,
  type TensorSpec,
} from './model-spec.js';

/** Bytes of the external tensors. */
export const EXTERNAL_BYTES = 2048;

/** A float32 tensor whose values are the first bytes of a file. */
export function tensorAt(location: string): TensorSpec {
  const external: Entries = [
    ['location', location],
    ['offset', '0'],
    ['length', String(EXTERNAL_BYTES)],
  ];
  return { name: 'w', dims: [EXTERNAL_BYTES / 4], external };
}

/** A model with its one external tensor at each place that may hold a TensorProto. */
export function modelsWith(tensor: TensorSpec): ReadonlyMap<string, ModelSpec> {
  const y = value('y', null);
  const plain: GraphSpec = { nodes: [node('Identity', ['x'], ['y'])], inputs: [value('x', [1])], outputs: [y] };
  const indices: TensorSpec = { name: 'indices', dims: [EXTERNAL_BYTES / 8], type: 'int64', external: tensor.external };
  const small: TensorSpec = { dims: [1], type: 'int64', data: [0] };
  const body = (graph: Partial<GraphSpec>): AttributeSpec => ({
    graph: { nodes: [node('Identity', ['w'], ['z'])], outputs: [value('z', null)], ...graph },
  });
  const branches = (graph: Partial<GraphSpec>): GraphSpec => ({
    ...plain,
    nodes: [
      node('If', ['x'], ['y'], {
        then_branch: body(graph),
        else_branch: body({ initializers: [{ ...small, name: 'w' }] }),
      }),
    ],
  });
  const constant = (attributes: Record<string, AttributeSpec>): GraphSpec => ({
    ...plain,
    nodes: [node('Constant', [], ['w'], attributes), node('Identity', ['w'], ['y'])],
  });
  const functions = (more: Partial<NonNullable<ModelSpec['functions']>[number]>): ModelSpec => ({
    graph: { ...plain, nodes: [node('F', ['x'], ['y'], {}, { domain: 'd' })] },
    opset: [
      ['', 17],
      ['d', 1],
    ],
    functions: [
      { name: 'F', domain: 'd', inputs: ['x'], outputs: ['y'], nodes: [node('Identity', ['x'], ['y'])], ...more },
    ],
  });
  return new Map<string, ModelSpec>([
    ['initializer', { graph: { ...plain, nodes: [node('Identity', ['w'], ['y'])], initializers: [tensor] } }],
    [
      'sparse initializer, values',
      {
        graph: {
          ...plain,
          nodes: [node('Identity', ['w'], ['y'])],
          sparseInitializers: [{ values: tensor, indices: small, dims: [9999] }],
        },
      },
    ],
    [
      'sparse initializer, indices',
      {
        graph: {
          ...plain,
          nodes: [node('Identity', ['w'], ['y'])],
          sparseInitializers: [{ values: { ...small, name: 'w' }, indices, dims: [9999] }],
        },
      },
    ],
    ['attribute, tensor', { graph: constant({ value: { tensor } }) }],
    ['attribute, tensors', { graph: constant({ values: { tensors: [small, tensor] } }) }],
    [
      'attribute, sparse tensor',
      { graph: constant({ sparse_value: { sparse: { values: tensor, indices: small, dims: [9999] } } }) },
    ],
    [
      'attribute, sparse tensor indices',
      { graph: constant({ sparse_value: { sparse: { values: small, indices, dims: [9999] } } }) },
    ],
    [
      'attribute, sparse tensors',
      { graph: constant({ sparse_values: { sparses: [{ values: tensor, indices: small, dims: [9999] }] } }) },
    ],
    [
      'attribute, sparse tensors indices',
      {
        graph: constant({
          sparse_values: {
            sparses: [
              { values: small, indices: small, dims: [9999] },
              { values: small, indices, dims: [9999] },
            ],
          },
        }),
      },
    ],
    ['initializer of a body', { graph: branches({ initializers: [tensor] }) }],
    [
      'sparse initializer of a body',
      { graph: branches({ sparseInitializers: [{ values: tensor, indices: small, dims: [9999] }] }) },
    ],
    [
      'sparse initializer of a body, indices',
      { graph: branches({ sparseInitializers: [{ values: { ...small, name: 'w' }, indices, dims: [9999] }] }) },
    ],
    ['constant of a body', { graph: branches({ nodes: [node('Constant', [], ['z'], { value: { tensor } })] }) }],
    ['body of a body', { graph: branches({ nodes: branches({ initializers: [tensor] }).nodes, outputs: [y] }) }],
    [
      'bodies',
      {
        graph: {
          ...plain,
          nodes: [
            node('Custom', ['x'], ['y'], { bodies: { graphs: [{}, { initializers: [tensor] }] } }, { domain: 'd' }),
          ],
        },
      },
    ],
    ['function', functions({ nodes: [node('Constant', [], ['y'], { value: { tensor } })] })],
    ['body in a function', functions({ nodes: branches({ initializers: [tensor] }).nodes })],
    ['default attribute of a function', functions({ defaults: { table: { tensor } } })],
    [
      'default attribute of a function, sparse',
      functions({ defaults: { table: { sparses: [{ values: tensor, indices: small, dims: [9999] }] } } }),
    ],
    [
      'default attribute of a function, in a graph',
      functions({ defaults: { table: { graph: { initializers: [tensor] } } } }),
    ],
    ['training, initialization', { graph: plain, trainingInfo: [{ initialization: { initializers: [tensor] } }] }],
    [
      'training, algorithm',
      { graph: plain, trainingInfo: [{ algorithm: { nodes: [node('Constant', [], ['c'], { value: { tensor } })] } }] },
    ],
    ['training, body', { graph: plain, trainingInfo: [{ algorithm: branches({ initializers: [tensor] }) }] }],
  ]);
}
