import { materialize, planBytes, BlobSource, type Piece, type PlannedBytes } from '../core.js';
import { bytesText } from '../report/units.js';
import { countText, plural } from '../wire/counted.js';
import { escapeText } from '../report/escape.js';
import {
  commandLine,
  movedUp,
  NO_CHOICES,
  renamed,
  toggled,
  type Choice,
  type Choices,
  type CutSettings,
} from './choices.js';
import { byId, element } from './dom.js';
import type { ChosenModel } from './model.js';
import { showProblem, say } from './messages.js';

/** Plans that were asked for, of whatever model: only the last one is shown. */
let asked = 0;

/** What is taken of a model, planned again after each change. */
export class CutPanel {
  private choices: Choices = NO_CHOICES;
  private planned: PlannedBytes | null = null;

  constructor(
    private readonly chosen: ChosenModel,
    private readonly onPlan: (planned: PlannedBytes | null) => void,
  ) {
    for (const input of settingInputs()) input.onchange = () => this.changed();
    byId('save').onclick = () => void this.save();
    this.changed();
  }

  isTaken(key: string): boolean {
    return this.choices.list.some((choice) => choice.key === key);
  }

  /** Takes something, or leaves it. */
  toggle(choice: Choice): void {
    this.choices = toggled(this.choices, choice);
    const isTaken = this.isTaken(choice.key);
    for (const box of document.querySelectorAll('input[data-key]'))
      if (box instanceof HTMLInputElement && box.dataset.key === choice.key) box.checked = isTaken;
    this.changed();
  }

  private changed(): void {
    const isEmpty = this.choices.list.length === 0;
    byId('cut').hidden = isEmpty;
    byId('save').setAttribute('disabled', '');
    this.planned = null;
    this.onPlan(null);
    const mine = ++asked;
    showProblem(null);
    if (isEmpty) return;
    this.plan()
      .then((planned) => {
        if (mine === asked) this.show(planned);
      })
      .catch((error: unknown) => {
        if (mine !== asked) return;
        this.showOutputs(null);
        for (const id of ['size', 'kept', 'command', 'cut-warnings']) byId(id).replaceChildren();
        showProblem(error);
      });
  }

  private async plan(): Promise<PlannedBytes> {
    const { model, files, configs, name } = this.chosen;
    const { list } = this.choices;
    const { mode, weights } = settings();
    const options = { select: list.map(({ selector }) => selector), mode, files, name };
    const place = { weights, fileName: name, configs };
    const planned = await planBytes(model, options, place);
    const names = this.outMap(planned);
    return names === null ? planned : planBytes(model, { ...options, outMap: names }, place);
  }

  /** The names of all outputs, once one is given. */
  private outMap({ report }: PlannedBytes): readonly string[] | null {
    const { list, names } = this.choices;
    if (names.size === 0 || report.features.length !== list.length) return null;
    return report.features.map(({ output }, at) => names.get(list[at].key) ?? output);
  }

  private show(planned: PlannedBytes): void {
    showProblem(null);
    this.planned = planned;
    this.onPlan(planned);
    const { report } = planned;
    this.showOutputs(planned);
    byId('size').textContent = `${bytesText(report.size_bytes)} (${countText(report.size_bytes)} bytes)`;
    byId('kept').textContent =
      `${plural(report.kept.nodes, 'node')} and ${bytesText(report.kept.weights_bytes)} of weights stay, ${plural(report.dropped.nodes, 'node')} and ${bytesText(report.dropped.weights_bytes)} go`;
    byId('cut-warnings').replaceChildren(...report.warnings.map((warning) => element('li', {}, escapeText(warning))));
    byId('command').textContent = escapeText(
      commandLine(
        this.chosen.name,
        this.choices,
        this.choices.names.size === 0 ? null : this.outMap(planned),
        settings(),
      ),
    );
    byId('beside').hidden = report.weights !== 'reference';
    byId('save').textContent = `Save ${escapeText(this.fileName())}`;
    byId('save').removeAttribute('disabled');
  }

  private showOutputs(planned: PlannedBytes | null): void {
    const { list, names } = this.choices;
    const outputs = planned?.report.features.length === list.length ? planned.report.features : [];
    const focused = document.activeElement?.id ?? '';
    byId('outputs').replaceChildren(
      ...list.map((choice, at) =>
        element(
          'li',
          {},
          element('span', { class: 'taken' }, escapeText(choice.label)),
          element(
            'label',
            {},
            'output ',
            named(
              element('input', {
                type: 'text',
                id: `name-${choice.key}`,
                placeholder: outputs[at]?.output ?? '',
                spellcheck: 'false',
                change: ({ target }) => {
                  if (target instanceof HTMLInputElement) this.rename(choice.key, target.value.trim());
                },
              }),
              names.get(choice.key) ?? '',
            ),
          ),
          element(
            'button',
            {
              type: 'button',
              id: `up-${choice.key}`,
              disabled: at === 0,
              'aria-label': `move ${escapeText(choice.label)} up`,
              click: () => this.moveUp(choice.key),
            },
            '↑',
          ),
          element(
            'button',
            { type: 'button', 'aria-label': `leave ${escapeText(choice.label)}`, click: () => this.toggle(choice) },
            '×',
          ),
        ),
      ),
    );
    if (focused !== '') document.getElementById(focused)?.focus();
  }

  private rename(key: string, name: string): void {
    this.choices = renamed(this.choices, key, name);
    this.changed();
  }

  private moveUp(key: string): void {
    this.choices = movedUp(this.choices, key);
    this.changed();
  }

  private fileName(): string {
    return `${this.chosen.name.replace(/\.onnx$/i, '')}.features.onnx`;
  }

  /** The cut as a download: slices of the file that was chosen, so that gigabytes take no memory. */
  private async save(): Promise<void> {
    const { planned } = this;
    if (planned === null) return;
    try {
      await this.chosen.assertUnchanged();
      const url = URL.createObjectURL(await blobOf(planned));
      element('a', { href: url, download: this.fileName() }).click();
      // The download reads it for as long as it takes; an hour is enough for any.
      setTimeout(() => URL.revokeObjectURL(url), 3_600_000);
      say(`Saved ${escapeText(this.fileName())}.`);
    } catch (error) {
      showProblem(error);
    }
  }
}

function named(input: HTMLInputElement, value: string): HTMLInputElement {
  input.value = value;
  return input;
}

/** A cut as a `Blob`: what is borrowed of files stays in them. */
export async function blobOf({ pieces, source }: PlannedBytes): Promise<Blob> {
  const parts: BlobPart[] = [];
  for (const piece of pieces) parts.push(await partOf(piece, source));
  return new Blob(parts, { type: 'application/octet-stream' });
}

async function partOf(piece: Piece, source: PlannedBytes['source']): Promise<BlobPart> {
  if (piece instanceof Uint8Array) return Uint8Array.from(piece);
  const from = piece.from ?? source;
  return from instanceof BlobSource
    ? from.blob.slice(piece.start, piece.end)
    : Uint8Array.from(await materialize(from, [{ start: piece.start, end: piece.end }]));
}

const MODES = ['dict', 'list', 'hook'] as const;

function settings(): CutSettings {
  const value = (name: string): string =>
    settingInputs().find((input) => input.name === name && input.checked)?.value ?? '';
  return {
    mode: MODES.find((mode) => mode === value('mode')) ?? 'dict',
    weights: value('weights') === 'reference' ? 'reference' : 'keep',
  };
}

function settingInputs(): readonly HTMLInputElement[] {
  return [...byId('settings').querySelectorAll('input')];
}
