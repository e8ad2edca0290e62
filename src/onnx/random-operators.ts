/** Operators whose value is another one in every run, unless they have a seed, and the type of that attribute. */
export const RANDOM_OPERATORS: { readonly [operator: string]: 'int' | 'float' } = {
  Bernoulli: 'float',
  Dropout: 'int',
  Multinomial: 'float',
  RandomNormal: 'float',
  RandomNormalLike: 'float',
  RandomUniform: 'float',
  RandomUniformLike: 'float',
};
