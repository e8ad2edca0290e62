// Memory that the records take beside the bytes they were read from: measured, rounded.

/** Of a message with its field. */
export const MESSAGE_BYTES = 150;
/** Of a string in a list. */
export const TEXT_BYTES = 24;
/** Of a number in a list. */
export const NUMBER_BYTES = 8;
/** Of the range of a field. */
export const RANGE_BYTES = 48;
