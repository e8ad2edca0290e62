import proto from 'onnx-proto';

// A CommonJS module that Node finds no named exports in.
/** The decoder of another hand. */
export import onnx = proto.onnx;
