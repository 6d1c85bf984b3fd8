/* Kiln, MIT OR Apache-2.0 */
import{fail as v}from"./kiln.js";import{STORAGES as H}from"./kiln.js";import{dtypeOf as L}from"./kiln.js";var A=(t,...e)=>e.some(r=>{let i=globalThis[r];return i&&t instanceof i}),D=t=>A(t,"HTMLVideoElement","VideoFrame");function I(t){let e=t.videoWidth??t.displayWidth??t.naturalWidth??t.width,r=t.videoHeight??t.displayHeight??t.naturalHeight??t.height;return e&&r?[e,r]:v("input","the picture has no pixels yet: wait until it is loaded")}var O=(t,e)=>`
struct Params { size: vec2u, base: u32, channels: u32, source: vec2f, resized: vec2f, shift: vec2f, bgr: u32, scale: vec4f, offset: vec4f }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var picture: ${t};
@group(0) @binding(2) var<storage, read_write> input: array<f32>;
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.size.x || id.y >= p.size.y) { return; }
  let at = vec2f(id.xy) + p.shift;
  var rgb = vec3f(0);
  if (all(at >= vec2f(0)) && all(at < p.resized)) {
    let scale = p.source / p.resized;
    let reach = max(scale, vec2f(1));
    let centre = (at + 0.5) * scale;
    let first = vec2i(max(centre - reach + 0.5, vec2f(0)));
    let end = min(vec2i(centre + reach + 0.5), vec2i(p.source));
    var sum = 0.0;
    for (var y = first.y; y < end.y; y++) {
      for (var x = first.x; x < end.x; x++) {
        let share = max(1 - abs((vec2f(f32(x), f32(y)) + 0.5 - centre) / reach), vec2f(0));
        let pixel = ${e}.rgb;
        rgb += share.x * share.y * pixel;
        sum += share.x * share.y;
      }
    }
    rgb /= sum;
  }
  if (p.bgr != 0) { rgb = rgb.bgr; }
  if (p.channels == 1) { rgb = vec3f(dot(rgb, vec3f(0.299, 0.587, 0.114))); }
  let place = p.base + id.y * p.size.x + id.x;
  let plane = p.size.x * p.size.y;
  for (var c = 0u; c < p.channels; c++) { input[place + c * plane] = rgb[c] * p.scale[c] + p.offset[c]; }
}`,E=80,M=class{constructor(e){this.device=e;let r=GPUBufferUsage.UNIFORM|GPUBufferUsage.COPY_DST;this.params=e.createBuffer({label:"picture",size:E,usage:r})}device;pipelines={};texture;params;dispose(){this.texture?.destroy(),this.params.destroy()}put(e,r,i,n,u,f){let{device:c}=this,s=u?.pictures,[,a,p,d]=n;if(!u||!s||n.length!=4||L(i)!="f32"||H[i.storage]!="f32")return v("input",`\`${i.name}\` is not an input for pictures: give numbers`);let[b,h]=I(e),[y,B]=R(b,h,s.resize,s.crop),g=s.crop.length?[...s.crop].reverse():y,P=s.channels=="L"?1:3;(g[0]!=d||g[1]!=p||P!=a)&&v("input",`a picture of ${b}x${h} becomes ${g[0]}x${g[1]} with ${P} channels, but \`${i.name}\` is ${d}x${p} with ${a}`);let l=new DataView(new ArrayBuffer(E));[d,p,r*a*d*p,a].forEach((o,m)=>l.setUint32(4*m,o,!0)),[b,h,...y,...B].forEach((o,m)=>l.setFloat32(16+4*m,o,!0)),l.setUint32(40,s.channels=="BGR"?1:0,!0);for(let o=0;o<a;o++){let[m,z]=[u.mean[o]??u.mean[0]??0,u.std[o]??u.std[0]??1];l.setFloat32(48+4*o,s.pixelMax/z,!0),l.setFloat32(64+4*o,-m/z,!0)}c.queue.writeBuffer(this.params,0,l.buffer);let T=D(e),$=T?c.importExternalTexture({source:e}):this.copied(e,b,h).createView(),U=this.pipeline(T),{buffer:C,offset:F,size:_}={buffer:f,offset:i.place.offset,size:i.place.size},V=c.createBindGroup({layout:U.getBindGroupLayout(0),entries:[{binding:0,resource:{buffer:this.params}},{binding:1,resource:$},{binding:2,resource:{buffer:C,offset:F,size:_}}]}),G=c.createCommandEncoder(),x=G.beginComputePass();x.setPipeline(U),x.setBindGroup(0,V),x.dispatchWorkgroups(Math.ceil(d/8),Math.ceil(p/8)),x.end(),c.queue.submit([G.finish()])}pipeline(e){let[r,i]=e?["texture_external","textureLoad(picture, vec2i(x, y))"]:["texture_2d<f32>","textureLoad(picture, vec2i(x, y), 0)"],n=()=>this.device.createShaderModule({code:O(r,i)});return this.pipelines[r]??=this.device.createComputePipeline({label:"picture",layout:"auto",compute:{module:n()}})}copied(e,r,i){let{device:n}=this;if(this.texture?.width!=r||this.texture.height!=i){this.texture?.destroy();let u=GPUTextureUsage.TEXTURE_BINDING|GPUTextureUsage.COPY_DST|GPUTextureUsage.RENDER_ATTACHMENT;this.texture=n.createTexture({label:"picture",size:[r,i],format:"rgba8unorm",usage:u})}return n.queue.copyExternalImageToTexture({source:e},{texture:this.texture,premultipliedAlpha:!1},[r,i]),this.texture}};function R(t,e,r,i){let[n,u]=r,f=r.length?r.length==2?[u,n]:t<=e?[n,Math.floor(n*e/t)]:[Math.floor(n*t/e),n]:[t,e],c=(s,a)=>{if(a===void 0)return 0;if(a>s)return-Math.floor((a-s)/2);let p=Math.floor((s-a)/2);return p+((s-a)%2&&p%2?1:0)};return[f,[c(f[0],i[1]),c(f[1],i[0])]]}export{M as PictureReader,R as placement};
