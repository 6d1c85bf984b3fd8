//! A Vulkan device that compiles kernels, and what `VK_KHR_pipeline_executable_properties` tells about them.

use std::ffi::{CStr, CString, c_char};

use ash::{ext, khr, vk};

use crate::spirv::Spirv;

/// The first device that the loader finds.
pub struct Device {
    name: String,
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    instance: ash::Instance,
    /// Unloads the loader when it is dropped, so it is the last field.
    _entry: ash::Entry,
}

/// What the driver made of a kernel.
pub struct Compiled {
    statistics: Vec<(String, u64)>,
    pub assembly: String,
}

impl Compiled {
    /// A number that the driver tells, by its name for it.
    pub fn statistic(&self, name: &str) -> Result<u64, String> {
        let found = self.statistics.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = self.statistics.iter().map(|(name, _)| name.as_str()).collect();
            format!("the driver does not tell `{name}`, but {}", known.join(", "))
        })
    }
}

impl Device {
    pub fn open() -> Result<Self, String> {
        // SAFETY: loading the Vulkan loader runs its initializers, which have no requirements.
        let entry = unsafe { ash::Entry::load() }.map_err(|error| format!("no Vulkan loader: {error}"))?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: `info` and what it points to outlive the call; the instance is destroyed before `entry` is unloaded.
        let instance = unsafe { entry.create_instance(&info, None) }.map_err(failed("create an instance"))?;
        match open_device(&instance) {
            Ok((name, device)) => {
                let executables = khr::pipeline_executable_properties::Device::new(&instance, &device);
                Ok(Self { name, device, executables, instance, _entry: entry })
            }
            Err(message) => {
                // SAFETY: nothing made with the instance is left.
                unsafe { instance.destroy_instance(None) };
                Err(message)
            }
        }
    }

    /// The driver's names of the device and of itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Compiles a kernel, and asks the driver what came of it.
    pub fn compile(&self, spirv: &Spirv) -> Result<Compiled, String> {
        let pipeline = Pipeline::new(self, spirv)?;
        let info = vk::PipelineInfoKHR::default().pipeline(pipeline.pipeline);
        // SAFETY: the pipeline is of this device, which has the extension and its feature enabled.
        let executables = unsafe { self.executables.get_pipeline_executable_properties(&info) }
            .map_err(failed("ask for executables"))?;
        if executables.len() != 1 {
            return Err(format!("a compute pipeline is one executable, not {}", executables.len()));
        }
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline.pipeline);
        Ok(Compiled { statistics: self.statistics(&info)?, assembly: self.assembly(&info)? })
    }

    fn statistics(&self, info: &vk::PipelineExecutableInfoKHR) -> Result<Vec<(String, u64)>, String> {
        // SAFETY: the pipeline was made with `CAPTURE_STATISTICS` and has an executable 0.
        let found = unsafe { self.executables.get_pipeline_executable_statistics(info) }
            .map_err(failed("ask for statistics"))?;
        let numbers = found.iter().filter(|s| s.format == vk::PipelineExecutableStatisticFormatKHR::UINT64);
        // SAFETY: `format` says that the union holds a `u64`.
        Ok(numbers.map(|s| (text(&s.name), unsafe { s.value.u64 })).collect())
    }

    /// The machine code as text. The driver is asked twice: for the sizes, and for the texts.
    fn assembly(&self, info: &vk::PipelineExecutableInfoKHR) -> Result<String, String> {
        // SAFETY: the pipeline was made with `CAPTURE_INTERNAL_REPRESENTATIONS` and has an executable 0. The pointers for
        // texts are null, so only sizes are written.
        let mut found = unsafe { self.executables.get_pipeline_executable_internal_representations(info) }
            .map_err(failed("ask for representations"))?;
        let mut texts: Vec<Vec<u8>> = found.iter().map(|r| vec![0; r.data_size]).collect();
        for (representation, text) in found.iter_mut().zip(&mut texts) {
            representation.p_data = text.as_mut_ptr().cast();
        }
        let mut count = u32::try_from(found.len()).map_err(|error| error.to_string())?;
        // SAFETY: `found` has `count` elements, each of which points to `data_size` bytes of `texts`.
        unsafe {
            (self.executables.fp().get_pipeline_executable_internal_representations_khr)(
                self.device.handle(),
                info,
                &mut count,
                found.as_mut_ptr(),
            )
        }
        .result()
        .map_err(failed("read representations"))?;
        let position = found.iter().position(|r| text(&r.name) == "Assembly");
        let bytes = position.map(|n| &texts[n]).ok_or("the driver does not show assembly")?;
        Ok(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: pipelines borrow the device, so none is left, and nothing was submitted.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

fn open_device(instance: &ash::Instance) -> Result<(String, ash::Device), String> {
    // SAFETY: the instance is alive.
    let found = unsafe { instance.enumerate_physical_devices() }.map_err(failed("look for devices"))?;
    let physical = *found.first().ok_or("there is no Vulkan device")?;
    let mut driver = vk::PhysicalDeviceDriverProperties::default();
    let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
    // SAFETY: `physical` is of this instance, and the chain outlives the call.
    unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
    let name = text(&properties.properties.device_name);
    if driver.driver_id != vk::DriverId::MESA_RADV {
        return Err(format!("the device is {name}, which is not one of Mesa's RADV"));
    }
    let name = format!("{name}, {}", text(&driver.driver_info));

    let mut executables = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
    let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
    let mut vulkan_11 = vk::PhysicalDeviceVulkan11Features::default();
    let mut vulkan_12 = vk::PhysicalDeviceVulkan12Features::default();
    let mut vulkan_13 = vk::PhysicalDeviceVulkan13Features::default();
    let mut features = vk::PhysicalDeviceFeatures2::default()
        .push_next(&mut executables)
        .push_next(&mut robustness)
        .push_next(&mut vulkan_11)
        .push_next(&mut vulkan_12)
        .push_next(&mut vulkan_13);
    // SAFETY: `physical` is of this instance, and the chain outlives the call.
    unsafe { instance.get_physical_device_features2(physical, &mut features) };

    // All features that there are: wgpu's checks of bounds are among them.
    let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
    let extensions = [khr::pipeline_executable_properties::NAME.as_ptr(), ext::robustness2::NAME.as_ptr()];
    let info = vk::DeviceCreateInfo::default()
        .queue_create_infos(&queues)
        .enabled_extension_names(&extensions)
        .push_next(&mut features);
    // SAFETY: `info` and what it points to outlive the call; the driver has just said that it has these features, and a
    // missing extension is an error.
    let device =
        unsafe { instance.create_device(physical, &info, None) }.map_err(failed("create a device"))?;
    Ok((name, device))
}

/// A compute pipeline with all that it needs; handles are null until they are made.
struct Pipeline<'a> {
    device: &'a ash::Device,
    groups: Vec<vk::DescriptorSetLayout>,
    layout: vk::PipelineLayout,
    module: vk::ShaderModule,
    pipeline: vk::Pipeline,
}

impl<'a> Pipeline<'a> {
    fn new(device: &'a Device, spirv: &Spirv) -> Result<Self, String> {
        let device = &device.device;
        let mut made = Pipeline {
            device,
            groups: Vec::new(),
            layout: Default::default(),
            module: Default::default(),
            pipeline: Default::default(),
        };
        let groups = spirv.buffers.iter().map(|buffer| buffer.group + 1).max().unwrap_or(0);
        for group in 0..groups {
            let bindings = bindings(spirv, group);
            let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            // SAFETY: `info` outlives the call; `made` destroys the layout.
            let layout = unsafe { device.create_descriptor_set_layout(&info, None) };
            made.groups.push(layout.map_err(failed("create a descriptor set layout"))?);
        }
        let info = vk::PipelineLayoutCreateInfo::default().set_layouts(&made.groups);
        // SAFETY: the set layouts are of this device; `made` destroys the layout.
        made.layout = unsafe { device.create_pipeline_layout(&info, None) }
            .map_err(failed("create a pipeline layout"))?;
        let info = vk::ShaderModuleCreateInfo::default().code(&spirv.words);
        // SAFETY: the words are valid SPIR-V, since naga wrote them; `made` destroys the module.
        made.module =
            unsafe { device.create_shader_module(&info, None) }.map_err(failed("create a shader module"))?;

        let entry_point = CString::new(spirv.entry_point.as_str()).map_err(|error| error.to_string())?;
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(made.module)
            .name(&entry_point);
        let info = vk::ComputePipelineCreateInfo::default()
            .flags(
                vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                    | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR,
            )
            .layout(made.layout)
            .stage(stage);
        // SAFETY: module and layout are of this device, and the layout has the bindings of the module; `made` destroys the
        // pipeline.
        let pipelines = unsafe { device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None) };
        let pipelines = pipelines.map_err(|(_, error)| failed("compile")(error))?;
        made.pipeline = *pipelines.first().ok_or("no pipeline was made")?;
        Ok(made)
    }
}

impl Drop for Pipeline<'_> {
    fn drop(&mut self) {
        // SAFETY: these are of this device and nothing uses them; null handles are ignored.
        unsafe {
            self.device.destroy_pipeline(self.pipeline, None);
            self.device.destroy_shader_module(self.module, None);
            self.device.destroy_pipeline_layout(self.layout, None);
            for group in &self.groups {
                self.device.destroy_descriptor_set_layout(*group, None);
            }
        }
    }
}

fn bindings(spirv: &Spirv, group: u32) -> Vec<vk::DescriptorSetLayoutBinding<'static>> {
    let of_group = spirv.buffers.iter().filter(|buffer| buffer.group == group);
    of_group
        .map(|buffer| {
            let kind = match buffer.uniform {
                true => vk::DescriptorType::UNIFORM_BUFFER,
                false => vk::DescriptorType::STORAGE_BUFFER,
            };
            vk::DescriptorSetLayoutBinding::default()
                .binding(buffer.binding)
                .descriptor_type(kind)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        })
        .collect()
}

/// Says what could not be done, and the driver's reason.
fn failed(what: &'static str) -> impl Fn(vk::Result) -> String {
    move |error| format!("the driver failed to {what}: {error:?}")
}

/// A text of fixed size that ends with a zero.
fn text(characters: &[c_char]) -> String {
    let bytes: Vec<u8> = characters.iter().map(|c| c.to_ne_bytes()[0]).collect();
    CStr::from_bytes_until_nul(&bytes).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
