// A grid as a device counts it: combinations by *place*, which is unit by unit with the exit settings
// innermost, where an index is row-major in the order of the parameters (gpu_engine/cuda_grid.py).
#pragma once

struct Places {
    const int* order;              // axes, the slowest first: those of the units, then exit parameters
    const int* size;               // of every axis
    const long long* stride;       // of every axis in the index
    const int* table_stride;       // of every axis in the tables; 0 unless it is structural
    const int* threshold;          // which threshold the axis sets, or -1
    const int* first_mask;         // mask of the axis' first value
    int n_axes;
    int n_unit_axes;               // how many of `order` tell units apart
    int n_exits;
    int lanes;                     // threads of a unit: n_exits, or that in whole warps
};
