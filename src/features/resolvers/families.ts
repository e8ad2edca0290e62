/**
 * What timm's authors call the features of a family, where that differs from what the graph alone suggests. Patterns
 * are module paths; `*` stands for what an atom or its rest may be, `#` for its digits.
 *
 * - `a|b`: the first that exists
 * - `a?b`: a, where b exists
 * - `name=a`: the module a under timm's own name for it; a `*` in the name is the last atom of a
 * - `a.*`: every match in order; `a.*%` the last at each stride, `a.*^` the first at each stride, `a.*$` the last
 * - a leading `-` leaves out matches at the deepest stride
 *
 * @see https://github.com/huggingface/pytorch-image-models/tree/main/timm/models (feature_info of each file)
 */
export interface Family {
  readonly name: string;
  /** `file.Class` in `class_hierarchy`. */
  readonly classes: readonly string[];
  /** Module paths that, all together, show the family where there are no class names. */
  readonly signs: readonly string[];
  /** The features; left out where the modules of each stride are the features. */
  readonly modules?: readonly string[];
  /**
   * Whether modules in front of the main container are features; `inner`: also a convolution inside a stem that goes on
   * to a smaller map.
   */
  readonly stem?: 'drop' | 'inner';
  /** What the last feature is called, whether or not the exporter left anything of it. */
  readonly last?: string;
  /**
   * Which output of a module that hands on several is the feature; the last tensor where left out. `laid-out`: the map
   * that its tokens become behind it, where they do.
   */
  readonly output?: 'first' | 'map' | 'sum' | 'laid-out';
}

/** The families of networks that timm has FeatureInfo for, the first that fits counts. */
export const FAMILIES: readonly Family[] = [
  {
    name: 'byobnet',
    classes: ['byobnet.ByobNet'],
    signs: ['stages.0.0.conv1_1x1|stages.0.0.conv1_kxk|stages.0.0.conv_kxk|stages.0.0.conv2_kxk', 'stages.2'],
    stem: 'inner',
    last: 'final_conv',
  },
  {
    name: 'nfnet',
    classes: ['nfnet.NormFreeNet'],
    signs: ['stages.0.0.act1', 'stages.0.0.conv1', 'stages.0.0.act2', 'stem.conv|stem.conv1', 'final_act'],
    modules: [
      'stem.conv3?stem.conv4|stem.conv2?stem.conv3|stem.conv',
      'stages.0',
      'stages.1',
      'stages.2',
      'final_conv|stages.3',
    ],
  },
  {
    name: 'regnet',
    classes: ['regnet.RegNet'],
    signs: ['stem', 's1.b1', 's2.b1', 's3.b1', 's4.b1'],
    modules: ['stem', 's1', 's2', 's3', 's4'],
  },
  {
    name: 'vovnet',
    classes: ['vovnet.VovNet'],
    signs: ['stem.2', 'stages.0.blocks.0.conv_concat'],
    modules: ['stem.1', 'stages.*'],
  },
  {
    name: 'starnet',
    classes: ['starnet.StarNet'],
    signs: ['stages.0.1.dwconv', 'stages.0.1.dwconv2', 'stages.0.1.f1'],
    stem: 'drop',
  },
  {
    name: 'efficientvit_mit',
    classes: ['efficientvit_mit.EfficientVit', 'efficientvit_mit.EfficientVitLarge'],
    signs: ['stem.in_conv', 'stem.res0', 'stages.0.blocks.0.main', 'head.in_conv'],
    stem: 'drop',
  },
  {
    name: 'hgnet',
    classes: ['hgnet.HighPerfGpuNet'],
    signs: ['stem.stem.0|stem.stem1', 'stages.0.blocks.0.layers', 'stages.0.blocks.0.aggregation'],
    stem: 'drop',
  },
  { name: 'cpubone', classes: ['cpubone.CPUBone'], signs: ['stem.0', 'stages.0.0.main', 'stages.3'], stem: 'drop' },
  {
    name: 'ghostnet',
    classes: ['ghostnet.GhostNet', 'repghost.RepGhostNet'],
    signs: ['conv_stem', 'blocks.0.0.ghost1', 'blocks.0.0.ghost2', 'blocks.9'],
    modules: ['conv_stem', 'blocks.1', 'blocks.3', 'blocks.5', 'blocks.7'],
  },
  {
    name: 'dpn',
    classes: ['dpn.DPN'],
    signs: ['features.conv1_1', 'features.conv2_1', 'features.conv5_bn_ac'],
    output: 'sum',
    modules: ['features.conv1_1', 'features.conv2_#$', 'features.conv3_#$', 'features.conv4_#$', 'features.conv5_#$'],
  },
  {
    name: 'hrnet',
    classes: ['hrnet.HighResolutionNet'],
    signs: ['conv2', 'transition1', 'stage2.0.branches', 'stage4.0.fuse_layers'],
    output: 'first',
    modules: ['stem=', 'stage1=', 'stage2', 'stage3', 'stage4'],
  },
  {
    name: 'nasnet',
    classes: ['nasnet.NASNetALarge'],
    signs: ['conv0', 'cell_stem_1.conv_1x1', 'reduction_cell_0.conv_1x1', 'reduction_cell_1.conv_1x1'],
    modules: [
      'conv0',
      'cell_stem_1.conv_1x1.act',
      'reduction_cell_0.conv_1x1.act',
      'reduction_cell_1.conv_1x1.act',
      'act',
    ],
  },
  {
    name: 'pnasnet',
    classes: ['pnasnet.PNASNet5Large'],
    signs: ['conv_0', 'cell_stem_1.conv_1x1', 'cell_4.conv_1x1', 'cell_8.conv_1x1'],
    modules: ['conv_0', 'cell_stem_1.conv_1x1.act', 'cell_4.conv_1x1.act', 'cell_8.conv_1x1.act', 'act'],
  },
  {
    name: 'inception_v4',
    classes: ['inception_v4.InceptionV4'],
    signs: ['features.3.maxpool|features.3.conv', 'features.4.branch0', 'features.21.branch0'],
    modules: ['features.2', 'features.3', 'features.9', 'features.17', 'features.21'],
  },
  {
    name: 'inception_v3',
    classes: ['inception_v3.InceptionV3'],
    signs: ['Conv2d_2b_3x3', 'Conv2d_4a_3x3', 'Mixed_5d', 'Mixed_6e', 'Mixed_7c'],
    modules: ['Conv2d_2b_3x3', 'Conv2d_4a_3x3', 'Mixed_5d', 'Mixed_6e', 'Mixed_7c'],
  },
  {
    name: 'inception_resnet_v2',
    classes: ['inception_resnet_v2.InceptionResnetV2'],
    signs: ['conv2d_2b', 'conv2d_4a', 'mixed_5b', 'repeat.0', 'conv2d_7b'],
    modules: ['conv2d_2b', 'conv2d_4a', 'repeat', 'repeat_1', 'conv2d_7b'],
  },
  {
    name: 'xception',
    classes: ['xception.Xception'],
    signs: ['block2.rep', 'block12.rep', 'conv4'],
    modules: ['act2', 'block2.rep.0', 'block3.rep.0', 'block12.rep.0', 'act4'],
  },
  {
    name: 'xception_aligned',
    classes: ['xception_aligned.XceptionAligned'],
    signs: ['stem', 'blocks.0.stack.conv1', 'blocks.0.stack.conv3', 'blocks.11.stack'],
    modules: ['-blocks.*.stack.act3%|-blocks.*.stack.conv2%', 'blocks.*$'],
  },
  {
    name: 'pit',
    classes: ['pit.PoolingVisionTransformer'],
    signs: ['patch_embed.conv', 'transformers.0.blocks.0', 'transformers.1.pool|transformers.1.blocks'],
    output: 'map',
    modules: ['transformers.*'],
  },
  {
    name: 'tnt',
    classes: ['tnt.TNT'],
    signs: ['blocks.0.norm_in', 'blocks.0.attn_in', 'blocks.0.attn_out'],
    output: 'first',
    modules: ['blocks.*'],
  },
  {
    name: 'volo',
    classes: ['volo.VOLO'],
    signs: ['patch_embed.conv', 'network.0.0', 'network.4.0'],
    modules: ['network.0', 'network.2', 'network.3', 'network.4'],
  },
  {
    name: 'sequencer',
    classes: ['sequencer.Sequencer2d'],
    signs: ['stages.0.blocks.0.rnn_tokens|stages.0.1.rnn_tokens'],
    modules: ['stages.*'],
  },
  {
    name: 'selecsls',
    classes: ['selecsls.SelecSls'],
    signs: ['stem.2', 'features.0.conv6', 'head.3'],
    output: 'first',
    modules: ['stem.2', 'features.*%', 'head.1', 'head.3'],
  },
  {
    name: 'tresnet',
    classes: ['tresnet.TResNet'],
    signs: ['body.s2d', 'body.conv1', 'body.layer1', 'body.layer4'],
    modules: ['=body.conv1', 'body.layer1', 'body.layer2', 'body.layer3', 'body.layer4'],
  },
  {
    name: 'twins',
    classes: ['twins.Twins'],
    signs: ['patch_embeds.0', 'blocks.0.0', 'pos_block.0'],
    output: 'laid-out',
    modules: ['block.0=blocks.0', 'block.1=blocks.1', 'block.2=blocks.2', 'block.3=blocks.3'],
  },
  {
    name: 'mvitv2',
    classes: ['mvitv2.MultiScaleVit'],
    signs: [
      'patch_embed.proj',
      'stages.0.blocks.0.attn.pool_q|stages.1.blocks.0.attn.pool_q|stages.0.blocks.0.attn.norm_k',
    ],
    modules: ['block.0=stages.0', 'block.1=stages.1', 'block.2=stages.2', 'block.3=stages.3'],
  },
  {
    name: 'convit',
    classes: ['convit.ConVit'],
    signs: ['blocks.0.attn.qk', 'blocks.0.attn.v', 'blocks.0.mlp.fc1'],
    modules: ['head'],
  },
  {
    name: 'mobilenetv5',
    classes: ['mobilenetv5.MobileNetV5', 'mobilenetv5.MobileNetV5Encoder'],
    signs: ['conv_stem.conv', 'conv_stem.bn', 'blocks.3.0'],
    modules: ['bn1=conv_stem.bn|conv_stem', 'blocks.*'],
  },
  {
    name: 'gemma4_vit',
    classes: ['gemma4_vit.Gemma4VitClassifier'],
    signs: [],
    modules: ['blocks.*=encoder.blocks.*'],
  },
  { name: 'csatv2', classes: ['csatv2.CSATv2'], signs: ['stem_dct', 'stages.3'], modules: ['stem_dct', 'stages.*'] },
];
