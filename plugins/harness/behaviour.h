// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "harness/check.h"
#include "harness/subject.h"

namespace harness
{

/// Plugins that work: shapes, types, formats, life cycle, results.
Tests behaviourTests(Interface& interface);

/// Attributes and shapes that must be refused, with a message.
Tests refusalTests(Interface& interface);

/// The library's entry points and its logging. `finder` is put back at the end.
Tests libraryTests(nvinfer1::ILoggerFinder* finder);

}  // namespace harness
