/**
 * @file moek.h
 * Everything: kernels that run Mixture-of-Experts layers, packed below one bit per weight or dense.
 */
#ifndef MOEK_MOEK_H
#define MOEK_MOEK_H

#include "core.h"
#include "device.h"
#include "experts.h"
#include "layer.h"
#include "ops.h"
#include "packed.h"
#include "permute.h"
#include "router.h"

#endif
