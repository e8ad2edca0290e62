// The addresses of two cuts, made when this program is built; no model is committed twice.
import pyramid from './backbone.onnx?featx=pyramid';
import vector from './backbone.onnx?featx=vector';

export const models = { pyramid, vector };
