// SPDX-License-Identifier: Apache-2.0
// The launcher's environment: were we started as one of many, and by what?
#include <stdint.h>
#include <stdlib.h>

#include "comm_kind.h"
#include "facet/text.h"

static int64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    int64_t value;
    return text && fct_text_to_i64(text, &value) == FCT_OK && value > 0 && value < INT32_MAX ? value
                                                                                             : 0;
}

#define RIGHT_MPIRUN "start with the mpirun of the MPI that facet was built with"

typedef struct {
    const char *variable, *name, *cure;
} launcher_sign;

// Under mpirun inside a Slurm job the SLURM_ variables are those of its daemon, so they come last;
// and only a step's own (SLURM_STEP_...): a batch script has SLURM_NTASKS, but is one process.
static const launcher_sign signs[] = {
    { "OMPI_COMM_WORLD_SIZE", "Open MPI's mpirun", RIGHT_MPIRUN },
    { "PMI_SIZE", "a launcher that speaks PMI (MPICH's mpirun, srun --mpi=pmi2)",
      RIGHT_MPIRUN ", or `srun --mpi=pmix`" },
    { "MV2_COMM_WORLD_SIZE", "MVAPICH's mpirun", RIGHT_MPIRUN },
    { "SLURM_STEP_NUM_TASKS", "srun",
      "start with `srun --mpi=pmix` (`srun --mpi=list` tells whether it is there), or with mpirun "
      "in "
      "place of srun" },
};

void fct_launcher_read(fct_launcher *out)
{
    static const char *const ways[] = { "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK",
                                        "MV2_COMM_WORLD_RANK" };
    *out = (fct_launcher){ 0 };
    for (size_t i = 0; i < sizeof signs / sizeof *signs && out->size == 0; i++) {
        out->variable = signs[i].variable;
        out->name = signs[i].name;
        out->cure = signs[i].cure;
        out->size = (int)number_of(signs[i].variable);
    }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        out->can_start_mpi |= getenv(ways[i]) != NULL;
}
