/** Zeros of the sinc on either side, in samples of the slower rate, and the shape of Kaiser's window. */
const HALF_WIDTH = 10;
const BETA = 5;

/**
 * Samples at another rate, by a polyphase filter: a sinc under Kaiser's window that lets pass what both rates hold.
 * @returns `ceil(length * to / from)` samples
 * @see https://docs.scipy.org/doc/scipy/reference/generated/scipy.signal.resample_poly.html
 */
export function resampled(samples: Float64Array, from: number, to: number): Float64Array {
  const common = divisor(from, to);
  const [up, down] = [to / common, from / common];
  if (up === down) return samples;
  const slowest = Math.max(up, down);
  const half = HALF_WIDTH * slowest;
  const taps = lowpass(half, 1 / slowest, up);
  const made = new Float64Array(Math.ceil((samples.length * up) / down));
  for (let at = 0; at < made.length; at++) {
    // Where the middle of the filter lies among the samples with zeros between them.
    const middle = at * down;
    const first = Math.max(0, Math.ceil((middle - half) / up));
    const last = Math.min(samples.length - 1, Math.floor((middle + half) / up));
    let sum = 0;
    for (let index = first; index <= last; index++) sum += samples[index] * taps[middle - index * up + half];
    made[at] = sum;
  }
  return made;
}

/** A low pass of `2 * half + 1` taps whose sum is `gain`; `cutoff` 1 is half the rate. */
function lowpass(half: number, cutoff: number, gain: number): Float64Array {
  const whole = bessel(BETA);
  const taps = Float64Array.from({ length: 2 * half + 1 }, (_, index) => {
    const at = index - half;
    const x = Math.PI * cutoff * at;
    const sinc = at === 0 ? 1 : Math.sin(x) / x;
    return cutoff * sinc * (bessel(BETA * Math.sqrt(1 - (at / half) ** 2)) / whole);
  });
  const sum = taps.reduce((all, tap) => all + tap, 0);
  return taps.map((tap) => (tap / sum) * gain);
}

/** The modified Bessel function of the first kind, of order 0, by its series. */
function bessel(x: number): number {
  let [term, sum] = [1, 1];
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
