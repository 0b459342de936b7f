// SPDX-License-Identifier: Apache-2.0
// Expressions as action units: the prototypes of EMFACS (Ekman & Friesen 1983), then the lot that
// weakens, drops and adds units.
#include <stddef.h>

#include "face.h"

#define X(number) number,
const int fct_au_number[FCT_AU_COUNT] = { FCT_AU_MAP(X) };
#undef X

enum { HAS = 1, CORE = 2, EXPRESSIONS = 8 };

// Rows in the order of fct_affectnet_names. CORE: the unit without which the face would be another.
static const unsigned char prototype[EXPRESSIONS][FCT_AU_COUNT] = {
    [1] = { [FCT_AU6] = HAS, [FCT_AU12] = CORE },
    [2] = { [FCT_AU1] = CORE, [FCT_AU4] = HAS, [FCT_AU15] = CORE },
    [3] = { [FCT_AU1] = HAS, [FCT_AU2] = CORE, [FCT_AU5] = HAS, [FCT_AU26] = CORE },
    [4] = { [FCT_AU1] = CORE,
            [FCT_AU2] = HAS,
            [FCT_AU4] = HAS,
            [FCT_AU5] = HAS,
            [FCT_AU20] = CORE,
            [FCT_AU26] = HAS },
    [5] = { [FCT_AU9] = CORE, [FCT_AU15] = HAS, [FCT_AU16] = HAS },
    [6] = { [FCT_AU4] = CORE, [FCT_AU5] = HAS, [FCT_AU7] = HAS, [FCT_AU23] = HAS },
    [7] = { [FCT_AU12] = CORE, [FCT_AU14] = HAS },
};
enum { CONTEMPT = 7 };

// A unit counts as shown from here: about level B of FACS's A..E.
static const double active_from = 0.25;

int fct_expression_has_au(int expression, fct_au au)
{
    return prototype[expression][au];
}

int fct_face_au_is_active(const fct_face_action *action, fct_au au)
{
    return action->au[0][au] >= active_from || action->au[1][au] >= active_from;
}

static void set_both(fct_rng *rng, fct_face_action *a, int au, double intensity, double difficulty)
{
    double tilt = fct_rng_between(rng, -0.25, 0.25) * difficulty;
    a->au[0][au] = intensity * (1 - tilt);
    a->au[1][au] = intensity * (1 + tilt);
}

static void lot_prototype(fct_rng *rng, int expression, double difficulty, fct_face_action *a)
{
    double weakest = 0.95 - 0.6 * difficulty, drop = 0.24 * difficulty;
    for (int au = 0; au < FCT_AU_COUNT; au++) {
        double intensity = fct_rng_between(rng, weakest, 1), lot = fct_rng_uniform(rng);
        int kind = prototype[expression][au];
        if (kind == CORE || (kind == HAS && lot >= drop))
            set_both(rng, a, au, intensity, difficulty);
    }
}

// What faces do anyway: talk, raise a brow, narrow the eyes; weaker than any prototype's units.
static void lot_distractors(fct_rng *rng, int expression, double difficulty, fct_face_action *a)
{
    static const fct_au any[] = {
        FCT_AU1, FCT_AU2, FCT_AU4, FCT_AU7, FCT_AU25, FCT_AU26, FCT_AU23
    };
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        double intensity = fct_rng_between(rng, 0.1, 0.4) * difficulty * 2,
               lot = fct_rng_uniform(rng);
        if (intensity > 0.45)
            intensity = 0.45;
        if (lot < 0.2 * difficulty && !prototype[expression][any[i]])
            set_both(rng, a, any[i], intensity, difficulty);
    }
}

// Laughing and talking part the lips; a contemptuous mouth moves on one side only.
static void lot_mouth(fct_rng *rng, int expression, fct_face_action *a)
{
    double part = fct_rng_uniform(rng), amount = fct_rng_between(rng, 0.4, 1);
    int side = (int)fct_rng_below(rng, 2);
    int may_part = expression == 1 || expression == 5 || expression == 6;
    if (may_part && part < (expression == 1 ? 0.6 : 0.25))
        a->au[0][FCT_AU25] = a->au[1][FCT_AU25] = amount;
    if (expression == CONTEMPT)
        a->au[side][FCT_AU12] = a->au[side][FCT_AU14] = 0;
    if (a->au[0][FCT_AU26] >= active_from || a->au[0][FCT_AU16] >= active_from)
        a->au[0][FCT_AU25] = a->au[1][FCT_AU25] =
            a->au[0][FCT_AU25] > 0.5 ? a->au[0][FCT_AU25] : 0.5;
}

void fct_face_action_draw_lot(fct_rng *rng, int expression, double difficulty, fct_face_action *out)
{
    *out = (fct_face_action){ 0 };
    lot_prototype(rng, expression, difficulty, out);
    lot_distractors(rng, expression, difficulty, out);
    lot_mouth(rng, expression, out);
    out->gaze_x = fct_rng_between(rng, -0.06, 0.06) * difficulty;
    out->gaze_y = fct_rng_between(rng, -0.02, 0.02) * difficulty;
    for (int side = 0; side < 2; side++)
        for (int au = 0; au < FCT_AU_COUNT; au++)
            if (out->au[side][au] > 1)
                out->au[side][au] = 1;
}
