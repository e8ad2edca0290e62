// featx in node_modules: npm pack in a clone, then npm install its tarball here; or npm install featx (README, Set-up).
// The addresses of two cuts, made when this program is built; no model is committed twice.
import pyramid from './backbone.onnx?featx=pyramid';
import vector from './backbone.onnx?featx=vector';

export const models = { pyramid, vector };
