// The kernels as a host library: arguments arrive as cuLaunchKernel takes them, an array of pointers.
#include "shim.h"

#include "outcomes.cu"
#include "walk.cu"
#include "reduce.cu"

#include <cstddef>
#include <utility>

template <class... A, std::size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(arguments[I])...);
}

template <class... A>
static void launch(void (*kernel)(A...), long long gx, long long gy, long long bx, void** arguments) {
    LAUNCH(gx, gy, bx, call(kernel, arguments, std::index_sequence_for<A...>{}));
}

#define EXPORT(NAME)                                                                               \
    extern "C" void host_##NAME(long long gx, long long gy, long long bx, void** arguments) {      \
        launch(NAME, gx, gy, bx, arguments);                                                       \
    }
EXPORT(outcomes)
EXPORT(walk_batch)
EXPORT(walk_grid)
EXPORT(walk_daily)
EXPORT(walk_taken)
EXPORT(score)
EXPORT(strip_maxima)
EXPORT(collect)
EXPORT(pair_maxima)

// Sizes of the records, for the test that Python's dtypes have the same.
extern "C" const long long record_sizes[] = {sizeof(Outcome), sizeof(Row),   sizeof(Window), sizeof(Rules),
                                             sizeof(Market),  sizeof(Batch), sizeof(Grid),   sizeof(Rule)};
