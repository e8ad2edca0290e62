import { FAMILIES } from './families.js';

/** An atom of a module path: a name, `*` or `#` in it. */
const ATOM = '[A-Za-z0-9_]*[*#]?[A-Za-z0-9_]*';
const PATH = `${ATOM}(?:\\.${ATOM})*`;
/** A path, `-` in front and a choice behind it, where another module exists. */
const OPTION = new RegExp(`^-?${PATH}[%^$]?(?:\\?${PATH})?$`);
const ALIAS = new RegExp(`^${PATH}$`);

describe.each(FAMILIES)('$name', ({ classes, signs, modules = [] }) => {
  test('its patterns are patterns', () => {
    for (const pattern of modules) {
      const parts = pattern.split('=');
      expect(parts.length).toBeLessThanOrEqual(2);
      if (parts.length === 2 && parts[0] !== '') expect(parts[0]).toMatch(ALIAS);
      // `name=` declares a name that is no module.
      const target = parts[parts.length - 1];
      if (parts.length === 2 && target === '') continue;
      for (const option of target.split('|')) {
        expect(option).not.toBe('');
        expect(option).toMatch(OPTION);
      }
    }
  });

  test('signs are paths without choices, classes are a file and a class of timm', () => {
    for (const sign of signs) for (const path of sign.split('|')) expect(path).toMatch(ALIAS);
    for (const name of classes) expect(name).toMatch(/^[a-z0-9_]+\.[A-Z][A-Za-z0-9]+$/);
  });
});

test('no two families have a name or a class in common', () => {
  const names = FAMILIES.map(({ name }) => name);
  const classes = FAMILIES.flatMap((family) => family.classes);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(classes).size).toBe(classes.length);
});
