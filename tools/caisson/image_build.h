// caisson image build: from a program of functions to an image in the store.
#pragma once

#include "verb.h"

namespace caisson::cli {

int image_build_verb(const Arguments& arguments);

}  // namespace caisson::cli
