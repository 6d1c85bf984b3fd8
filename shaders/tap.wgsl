// The input coordinate of a tap, negative outside.
fn tap(place: i32, step: i32, size: i32) -> i32 {
//% if meets_zeros
  return select(-1, place / step, (place >= 0) & (place % step == 0) & (place / step < size));
//% else
  return select(-1, place, place < size);
//% endif
}
