"""Images read at computed places, put back where they were pooled from, and cut into windows."""

from .case import Case, function, layer

IMAGE, VOLUME = "2,5,6", "2,3,4,5"
UNPOOL = "y, indices = F.max_pool2d(x, 2, return_indices=True); return F.max_unpool2d(y * 2, indices, 2, output_size=x.shape)"

CASES = [
    function("grid_sample", "F.grid_sample(x, y)", IMAGE, "4,3,2"),
    function("grid_sample_border", "F.grid_sample(x, y * 2, padding_mode='border', align_corners=True)", IMAGE, "4,3,2"),
    function("grid_sample_reflection", "F.grid_sample(x, y * 3, 'bilinear', 'reflection', False)", IMAGE, "4,3,2"),
    function("grid_sample_nearest", "F.grid_sample(x, y, mode='nearest', align_corners=False)", IMAGE, "2,7,2"),
    function("grid_sample_bicubic", "F.grid_sample(x, y * 2, mode='bicubic', align_corners=False)", IMAGE, "4,3,2"),
    function("grid_sample_volume", "F.grid_sample(x, y, align_corners=False)", VOLUME, "2,3,2,3"),
    function("affine_grid", "F.affine_grid(x, (x.shape[0], 3, 4, 5), align_corners=False)", "2,3"),
    function("affine_grid_volume", "F.affine_grid(x, [x.size(0), 1, 2, 3, 4], align_corners=True)", "3,4"),
    function("spatial_transformer", "F.grid_sample(x, F.affine_grid(y, x.size(), align_corners=False), align_corners=False)", IMAGE, "2,3"),
    layer("fold", "nn.Fold((4, 5), (2, 3), stride=2, padding=1)", "12,9"),
    layer("unfold", "nn.Unfold(kernel_size=(2, 3), dilation=1, padding=1, stride=2)", IMAGE),
    function("f_fold", "F.fold(F.unfold(x, 3, padding=1), x.shape[2:], 3, padding=1)", IMAGE),
    function("unpool", UNPOOL, IMAGE),
    Case("max_unpool2d", ("2,4,6",), "self.pool = nn.MaxPool2d((2, 3), return_indices=True); self.unpool = nn.MaxUnpool2d((2, 3))", "y, indices = self.pool(x); return self.unpool(y, indices)"),
    function("max_unpool1d", "y, i = F.max_pool1d(x, 3, 2, 1, return_indices=True); return F.max_unpool1d(y, i, 3, 2, 1)", "2,7"),
    function("max_unpool3d", "y, i = F.max_pool3d(x, 2, return_indices=True); return F.max_unpool3d(y, i, 2)", "2,4,4,6"),
    function("max_pool_indices", "F.max_pool2d(x, 3, 2, 1, 1, True, True)[1]", IMAGE),
    layer("lp_pool3d", "nn.LPPool3d(2, 2)", VOLUME),
    function("lp_pool_cube", "F.lp_pool2d(x.abs(), 3, 2)", IMAGE),
    function("interpolate_bicubic_fraction", "F.interpolate(x, scale_factor=(1.7, 0.6), mode='bicubic')", IMAGE),
    function("interpolate_bicubic_antialias", "F.interpolate(x, size=(3, 8), mode='bicubic', antialias=True)", IMAGE),
    function("interpolate_bilinear_antialias_scale", "F.interpolate(x, scale_factor=0.45, mode='bilinear', antialias=True)", "2,9,11"),
    function("interpolate_antialias_aligned", "F.interpolate(x, size=(3, 4), mode='bilinear', align_corners=True, antialias=True)", IMAGE),
    function("f_lp_pool3d", "F.lp_pool3d(x, 2, (1, 2, 3))", VOLUME),
    Case("max_unpool1d_layer", ("2,8",), "self.unpool = nn.MaxUnpool1d(2)", "y, i = F.max_pool1d(x, 2, return_indices=True); return self.unpool(y, i)"),
    Case("max_unpool3d_layer", ("2,4,4,6",), "self.unpool = nn.MaxUnpool3d((1, 2, 2))", "y, i = F.max_pool3d(x, (1, 2, 2), return_indices=True); return self.unpool(y, i, output_size=x.size())"),
]
