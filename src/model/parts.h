// SPDX-License-Identifier: Apache-2.0
// The parts of a backbone that can be frozen, in the order of the dataflow.
#ifndef FACET_PARTS_H
#define FACET_PARTS_H

// stem, layer1 .. layer4, and what follows them: nothing in a ResNet, the closing layers in an
// IResNet.
enum { FCT_BACKBONE_LAYERS = 4, FCT_BACKBONE_PARTS = FCT_BACKBONE_LAYERS + 2 };

#endif
