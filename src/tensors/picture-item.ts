import type { TensorValue } from '../onnx/tensor-value.js';
import { hasBatchAxis, pictureShape } from '../preprocessing/input.js';
import type { Preprocessing } from '../preprocessing/recipe.js';
import { decodePicture } from './image.js';
import type { InputItem } from './input-item.js';
import type { RowRange, SourceAccess } from './lazy-array.js';
import type { TensorLimits } from './limits.js';
import { pictureTensor } from './picture-tensor.js';
import type { ValueMemory } from './tensor.js';

/** A picture in a file: one entry. A run may have very many, so that each holds nothing but what is its own. */
export class PictureItem implements InputItem {
  constructor(
    readonly file: string,
    private readonly access: SourceAccess,
    readonly picture: Preprocessing,
    private readonly limits: TensorLimits,
  ) {}

  get rows(): number {
    return 1;
  }

  get isEndless(): boolean {
    return false;
  }

  get rest(): readonly (number | null)[] {
    return pictureShape(this.picture.layout, this.picture);
  }

  get isAlone(): boolean {
    return !hasBatchAxis(this.picture.layout);
  }

  async read(_rows: RowRange, memory?: ValueMemory): Promise<TensorValue> {
    const { access, picture, limits } = this;
    const bytes = await access.use((source) => source.read(0, source.size));
    return pictureTensor(await decodePicture(bytes, access.name, limits, picture.orientation), picture, memory);
  }
}
