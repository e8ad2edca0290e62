import { Violation, type Target } from '../target.js';

/** Programs that fail on purpose, one input in 512, to show that the watch over a child sees it. */
export const CONTROLS = [
  'control-hang',
  'control-slow',
  'control-memory',
  'control-crash',
  'control-foreign',
  'control-law',
] as const;

export type Control = (typeof CONTROLS)[number];

const TRIGGER = 7;

export function controlTarget(control: Control): Target {
  return {
    name: control,
    shape: { prefix: 0, type: null },
    deepOnceIn: 1,
    input: (random) => Uint8Array.from({ length: 32 }, () => random.below(64)),
    run: async (bytes) => {
      if (bytes[0] === TRIGGER && bytes[1] < 8) fail(control);
      return 'ok';
    },
  };
}

function fail(control: Control): void {
  switch (control) {
    case 'control-hang':
      for (;;) if (performance.now() < 0) return;
    case 'control-slow': {
      const { user } = process.cpuUsage();
      while (process.cpuUsage().user - user < 1.2e6);
      return;
    }
    case 'control-memory':
      new Uint8Array(400 * 2 ** 20).fill(1);
      return;
    case 'control-crash':
      process.abort();
      break;
    case 'control-foreign':
      throw new TypeError('a control');
    case 'control-law':
      throw new Violation('control', 'a control');
  }
}
