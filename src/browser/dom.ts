/** What an element is given beside its children: attributes by their names, and what is called at events. */
export interface ElementFacts {
  readonly [attribute: string]: string | number | boolean | ((event: Event) => void);
}

/**
 * An element. Texts become text nodes, never HTML: names of files and tensors are whatever somebody wrote.
 * @param facts an attribute that is false is left out, one that is true is empty
 */
export function element<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  facts: ElementFacts = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[T] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else if (value !== false) made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children);
  return made;
}

/** The element of the page that has this id. @throws Error for one that the page does not have */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/** A table in a box that scrolls by itself; columns of `numbers` are aligned on the right. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly (Node | string)[])[],
  numbers: ReadonlySet<number> = new Set(),
): HTMLElement {
  const facts = (column: number): ElementFacts => (numbers.has(column) ? { class: 'number' } : {});
  return element(
    'div',
    { class: 'wide', tabindex: 0 },
    element(
      'table',
      {},
      element(
        'thead',
        {},
        element('tr', {}, ...titles.map((title, column) => element('th', { scope: 'col', ...facts(column) }, title))),
      ),
      element(
        'tbody',
        {},
        ...rows.map((row) => element('tr', {}, ...row.map((cell, column) => element('td', facts(column), cell)))),
      ),
    ),
  );
}
