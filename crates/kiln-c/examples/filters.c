/* Loads a plan of models/filters.onnx, says what it takes and gives, runs it on a picture of 8 x 8, and checks what follows from the
 * filters: one gives back its input, and the derivatives of a picture without edges are zero. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kiln.h"

#define CHECK(condition)                                                                                 \
    if (!(condition)) {                                                                                  \
        fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, kiln_error());                        \
        return 1;                                                                                        \
    }

enum { SIZE = 8, ELEMENTS = 3 * SIZE * SIZE };

static int describe(const KilnSession *session) {
    for (size_t i = 0; i < kiln_input_count(session) + kiln_output_count(session); i++) {
        size_t inputs = kiln_input_count(session);
        KilnValue value;
        CHECK((i < inputs ? kiln_input(session, i, &value) : kiln_output(session, i - inputs, &value)) == KILN_OK);
        printf("%s %s [", i < inputs ? "input" : "output", value.name);
        for (size_t d = 0; d < value.rank; d++) {
            printf("%s%lld (up to %zu)", d ? ", " : "", (long long)value.shape[d], value.largest[d]);
        }
        printf("]\n");
    }
    return 0;
}

static int run(KilnSession *session, const float *picture) {
    size_t shape[4] = {1, 3, SIZE, SIZE};
    KilnTensor image = {"image", KILN_F32, 4, shape, picture, ELEMENTS * sizeof(float)};
    CHECK(kiln_run(session, &image, 1) == KILN_OK);
    int flat = 1;
    for (size_t i = 1; i < ELEMENTS; i++) {
        flat = flat && picture[i] == picture[0];
    }
    for (size_t i = 0; i < kiln_output_count(session); i++) {
        KilnTensor output;
        CHECK(kiln_result(session, i, &output) == KILN_OK);
        CHECK(output.dtype == KILN_F32 && output.bytes == ELEMENTS * sizeof(float) && output.rank == 4);
        const float *numbers = output.data;
        int kept = strcmp(output.name, "identity") == 0;
        int derivative = strstr(output.name, "edge") || strstr(output.name, "laplacian");
        for (size_t n = 0; n < ELEMENTS; n++) {
            CHECK(!kept || numbers[n] == picture[n]);
            CHECK(!flat || fabsf(numbers[n] - (derivative ? 0 : picture[n])) < 1e-5f);
        }
    }
    return 0;
}

/* What is wrong is said, and the session goes on. */
static int mistakes(KilnSession *session, const float *picture) {
    size_t shape[4] = {1, 3, SIZE, SIZE + 1};
    KilnTensor image = {"image", KILN_F32, 4, shape, picture, ELEMENTS * sizeof(float)};
    CHECK(kiln_run(session, &image, 1) == KILN_INPUT && strstr(kiln_error(), "has 216 elements, 192 are given"));
    image.bytes = 7;
    CHECK(kiln_run(session, &image, 1) == KILN_INPUT && strstr(kiln_error(), "not whole elements of 4"));
    image.dtype = 99;
    CHECK(kiln_run(session, &image, 1) == KILN_ARGUMENT && strstr(kiln_error(), "99 is no type"));
    image.name = NULL;
    CHECK(kiln_run(session, &image, 1) == KILN_ARGUMENT && strstr(kiln_error(), "`name` is null"));
    CHECK(kiln_run(session, NULL, 0) == KILN_INPUT && strstr(kiln_error(), "input `image` is missing"));
    KilnTensor result;
    CHECK(kiln_result(session, 0, &result) == KILN_ARGUMENT);
    CHECK(kiln_result(NULL, 0, &result) == KILN_ARGUMENT && kiln_input_count(NULL) == 0);
    KilnSession *none = session;
    CHECK(kiln_open("no such file.kplan", &none) == KILN_PLAN && none == NULL);
    CHECK(strstr(kiln_error(), "no such file.kplan"));
    CHECK(kiln_open(NULL, &none) == KILN_ARGUMENT && kiln_open("x", NULL) == KILN_ARGUMENT);
    kiln_close(NULL);
    return 0;
}

int main(int count, char **words) {
    if (count != 2) {
        fprintf(stderr, "usage: filters PLAN\n");
        return 2;
    }
    KilnSession *session;
    CHECK(kiln_open(words[1], &session) == KILN_OK);
    CHECK(kiln_input_count(session) == 1 && kiln_output_count(session) == 7);
    CHECK(describe(session) == 0);
    float ramp[ELEMENTS], flat[ELEMENTS];
    for (size_t i = 0; i < ELEMENTS; i++) {
        ramp[i] = (float)(i * 37 % 101) / 100;
        flat[i] = 0.25f;
    }
    CHECK(run(session, ramp) == 0);
    CHECK(mistakes(session, ramp) == 0);
    CHECK(run(session, flat) == 0);
    kiln_close(session);
    printf("done\n");
    return 0;
}
