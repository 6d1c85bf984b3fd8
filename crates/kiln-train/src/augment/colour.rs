//! Brightness, contrast, saturation and hue.

/// Weights of red, green and blue in grey (ITU-R BT.601).
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// Changes colours: `factors` of brightness, contrast and saturation, then the hue by `turn` of a circle.
pub(super) fn jitter(image: &mut [f32], [channels, height, width]: [usize; 3], factors: [f32; 3], turn: f32) {
    let [brightness, contrast, saturation] = factors;
    let plane = height * width;
    if plane == 0 {
        return;
    }
    let is_rgb = channels == 3;
    image.iter_mut().for_each(|x| *x = (*x * brightness).clamp(0.0, 1.0));
    let grey = |image: &[f32], i: usize| {
        if is_rgb { (0..3).map(|c| GREY[c] * image[c * plane + i]).sum::<f32>() } else { image[i] }
    };
    let mean = (0..plane).map(|i| grey(image, i)).sum::<f32>() / plane as f32;
    image.iter_mut().for_each(|x| *x = (mean + (*x - mean) * contrast).clamp(0.0, 1.0));
    if !is_rgb {
        return;
    }
    for i in 0..plane {
        let grey = grey(image, i);
        let mut pixel: [f32; 3] =
            std::array::from_fn(|c| (grey + (image[c * plane + i] - grey) * saturation).clamp(0.0, 1.0));
        if turn != 0.0 {
            pixel = turned(pixel, turn);
        }
        for (c, value) in pixel.into_iter().enumerate() {
            image[c * plane + i] = value;
        }
    }
}

/// A colour with another hue, by way of hue, saturation and value (Smith 1978).
fn turned([r, g, b]: [f32; 3], turn: f32) -> [f32; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let spread = high - low;
    if spread == 0.0 {
        return [r, g, b];
    }
    let sixth = if high == r {
        (g - b) / spread
    } else if high == g {
        2.0 + (b - r) / spread
    } else {
        4.0 + (r - g) / spread
    };
    let hue = (sixth / 6.0 + turn).rem_euclid(1.0) * 6.0;
    let part = |offset: f32| {
        let k = (offset + hue) % 6.0;
        high - spread * k.min(4.0 - k).clamp(0.0, 1.0)
    };
    [part(5.0), part(3.0), part(1.0)]
}
