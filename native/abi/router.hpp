// From the C description of a router to the kernels' rules; shared by router.cpp and layer.cpp.
#pragma once

#include "abi/context.hpp"
#include "kernels/router/router.hpp"
#include "moek/router.h"

namespace moek {

// The caller's description with defaults filled in, its numbers checked. Pointers are not looked at.
moek_router_desc checked_router(const moek_router_desc* given);

// The kernels' rules, with the description's vectors.
RouterRules rules_of(const moek_router_desc& router);

// Sequences and padding of a call, checked.
Batch batch_of(const moek_context& context, const moek_batch* given, int64_t tokens);

}  // namespace moek
