// SPDX-License-Identifier: Apache-2.0
// Measures the gradient buckets against MPI_Allreduce on the same floats.
// usage: mpirun -n 2 bench_allreduce [FLOATS [BUCKET_MIB]]
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "facet/clock.h"
#include "facet/comm.h"
#include "facet/text.h"

enum { TIMES = 9 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_s(double s[TIMES])
{
    qsort(s, TIMES, sizeof *s, by_value);
    return s[TIMES / 2];
}

static double measure_mpi(float *v, int64_t n)
{
    double s[TIMES];
    for (int t = -1; t < TIMES; t++) {
        for (int64_t i = 0; i < n; i++)
            v[i] = 1;
        MPI_Barrier(MPI_COMM_WORLD);
        double start = fct_clock_s();
        MPI_Allreduce(MPI_IN_PLACE, v, (int)n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        s[t < 0 ? 0 : t] = fct_clock_s() - start;
    }
    return median_s(s);
}

static double measure_buckets(fct_buckets *b, int64_t n)
{
    double s[TIMES];
    float *v = fct_buckets_memory(b);
    for (int t = -1; t < TIMES; t++) {
        for (int64_t i = 0; i < n; i++)
            v[i] = 1;
        MPI_Barrier(MPI_COMM_WORLD);
        double start = fct_clock_s();
        if (fct_buckets_wait(b) != FCT_OK)
            MPI_Abort(MPI_COMM_WORLD, 1);
        s[t < 0 ? 0 : t] = fct_clock_s() - start;
    }
    return median_s(s);
}

int main(int argc, char **argv)
{
    int64_t n = 25600000, bucket_mib = 4;
    fct_comm *c;
    fct_buckets *b;
    if ((argc > 1 && fct_text_to_i64(argv[1], &n) != FCT_OK) ||
        (argc > 2 && fct_text_to_i64(argv[2], &bucket_mib) != FCT_OK))
        return 2;
    if (fct_comm_create("mpi", &c) != FCT_OK)
        return 1;
    float *v = malloc((size_t)n * sizeof *v);
    if (!v || fct_buckets_create(c, (size_t)n * 4, (size_t)bucket_mib << 20, &b) != FCT_OK)
        MPI_Abort(MPI_COMM_WORLD, 1);
    double mpi_s = measure_mpi(v, n), ours_s = measure_buckets(b, n);
    if (fct_comm_rank(c) == 0)
        printf("%lld floats, %d ranks: MPI_Allreduce %.1f ms, buckets of %lld MiB %.1f ms (%.1f "
               "GB/s), "
               "ratio %.2f\n",
               (long long)n, fct_comm_size(c), mpi_s * 1e3, (long long)bucket_mib, ours_s * 1e3,
               (double)n * 4 / ours_s * 1e-9, mpi_s / ours_s);
    free(v);
    fct_buckets_destroy(b);
    fct_comm_destroy(c);
    return 0;
}
