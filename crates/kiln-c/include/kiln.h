/* Runs Kiln's plans. Generated from crates/kiln-c/src: KILN_WRITE_HEADER=1 cargo test -p kiln-cnn-c writes it. */

#ifndef KILN_H
#define KILN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/**
 * What a function has come to; `kiln_error` has the text.
 */
typedef enum KilnStatus {
  /**
   * Nothing went wrong.
   */
  KILN_OK = 0,
  /**
   * An argument is null, not UTF-8, or out of range.
   */
  KILN_ARGUMENT = 1,
  /**
   * The plan cannot be read.
   */
  KILN_PLAN = 2,
  /**
   * There is no device for the plan, or it failed.
   */
  KILN_DEVICE = 3,
  /**
   * An input is missing, or of another type or shape than the plan takes.
   */
  KILN_INPUT = 4,
  /**
   * A defect of Kiln.
   */
  KILN_INTERNAL = 5,
} KilnStatus;

/**
 * The type of elements. Truth values are bytes, 0 or 1.
 */
typedef enum KilnType {
  KILN_F32 = 0,
  KILN_F16 = 1,
  KILN_F64 = 2,
  KILN_I32 = 3,
  KILN_I64 = 4,
  KILN_U8 = 5,
  KILN_I8 = 6,
  KILN_U16 = 7,
  KILN_I16 = 8,
  KILN_U32 = 9,
  KILN_BOOL = 10,
} KilnType;

/**
 * A plan on a device. Threads may have sessions of their own; one session is for one thread at a time.
 */
typedef struct KilnSession KilnSession;

/**
 * What an input takes, or an output gives.
 */
typedef struct KilnValue {
  /**
   * Its name.
   */
  const char *name;
  /**
   * The type of its elements.
   */
  enum KilnType dtype;
  /**
   * How many dimensions it has.
   */
  size_t rank;
  /**
   * Their sizes; -1 where a run decides.
   */
  const int64_t *shape;
  /**
   * The largest sizes.
   */
  const size_t *largest;
} KilnValue;

/**
 * A dense tensor in row-major order.
 */
typedef struct KilnTensor {
  /**
   * Its name.
   */
  const char *name;
  /**
   * The type of its elements, one of `KilnType`.
   */
  uint32_t dtype;
  /**
   * How many dimensions it has.
   */
  size_t rank;
  /**
   * Their sizes.
   */
  const size_t *shape;
  /**
   * The elements.
   */
  const void *data;
  /**
   * How many bytes they are.
   */
  size_t bytes;
} KilnTensor;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The text of the last error on this thread; empty if the last function that can fail did not. It is there until the next call
 * on this thread.
 */
const char *kiln_error(void);

/**
 * Opens a plan file on the device that WGPU_BACKEND and WGPU_ADAPTER_NAME choose, or the first there is.
 *
 * # Safety
 * `path` is a string that ends in zero; `session` is a place for a pointer, which is null if this fails.
 */
enum KilnStatus kiln_open(const char *path,
                          struct KilnSession **session);

/**
 * Frees a session and everything that points into it; null is nothing.
 *
 * # Safety
 * `session` is from `kiln_open`, and is not used again.
 */
void kiln_close(struct KilnSession *session);

/**
 * How many inputs there are; 0 for null.
 *
 * # Safety
 * `session` is null or from `kiln_open`.
 */
size_t kiln_input_count(const struct KilnSession *session);

/**
 * How many outputs there are; 0 for null.
 *
 * # Safety
 * `session` is null or from `kiln_open`.
 */
size_t kiln_output_count(const struct KilnSession *session);

/**
 * What an input is. The name and the shape are there until `kiln_close`.
 *
 * # Safety
 * `session` is from `kiln_open`, `value` is a place for a `KilnValue`.
 */
enum KilnStatus kiln_input(const struct KilnSession *session,
                           size_t index,
                           struct KilnValue *value);

/**
 * What an output is. The name and the shape are there until `kiln_close`.
 *
 * # Safety
 * `session` is from `kiln_open`, `value` is a place for a `KilnValue`.
 */
enum KilnStatus kiln_output(const struct KilnSession *session,
                            size_t index,
                            struct KilnValue *value);

/**
 * Runs the plan's first program and waits for its outputs. Inputs are copied before this returns.
 *
 * # Safety
 * `session` is from `kiln_open`, no other thread uses it; `inputs` are `count` tensors, each with as many bytes and sizes as
 * it says.
 */
enum KilnStatus kiln_run(struct KilnSession *session,
                         const struct KilnTensor *inputs,
                         size_t count);

/**
 * An output of the last run. Everything it points at is there until the next run of the session, or `kiln_close`.
 *
 * # Safety
 * `session` is from `kiln_open`, `tensor` is a place for a `KilnTensor`.
 */
enum KilnStatus kiln_result(const struct KilnSession *session,
                            size_t index,
                            struct KilnTensor *tensor);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KILN_H */
