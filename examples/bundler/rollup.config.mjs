// npx rollup -c rollup.config.mjs
import { rollup as featx } from 'featx/unplugin';
import { cuts } from './cuts.js';

export default { input: 'app.js', output: { dir: 'dist', format: 'es' }, plugins: [featx({ cuts })] };
