import { featuresOf } from './features.js';

const list = document.querySelector('ol');
document.querySelector('input').addEventListener('change', async ({ target }) => {
  try {
    const features = await featuresOf(target.files[0]);
    list.replaceChildren(
      ...features.map(({ module, tensor, num_chs, reduction }) => {
        const item = document.createElement('li');
        item.textContent = `${module ?? tensor}: ${num_chs} channels, stride ${reduction}`;
        return item;
      }),
    );
  } catch (error) {
    list.replaceChildren(error.message);
  }
});
