/* Kiln, MIT OR Apache-2.0 */
import{fail as v}from"./kiln.js";import{STORAGES as L}from"./kiln.js";import{dtypeOf as O}from"./kiln.js";var V=(r,...e)=>e.some(t=>{let n=globalThis[t];return n&&r instanceof n}),E=r=>V(r,"HTMLVideoElement","VideoFrame");function A(r){let e=r.videoWidth??r.displayWidth??r.naturalWidth??r.width,t=r.videoHeight??r.displayHeight??r.naturalHeight??r.height;return e&&t?[e,t]:v("input","the picture has no pixels yet: wait until it is loaded")}var D=(r,e)=>`
struct Params { size: vec2u, base: u32, channels: u32, source: vec2f, resized: vec2f, shift: vec2f, bgr: u32, scale: vec4f, offset: vec4f }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var picture: ${r};
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
}`,M=80,B=class{constructor(e){this.device=e;let t=GPUBufferUsage.UNIFORM|GPUBufferUsage.COPY_DST;this.params=e.createBuffer({label:"picture",size:M,usage:t})}device;pipelines={};texture;params;dispose(){this.texture?.destroy(),this.params.destroy()}put(e,t,n,i,a,l){let{device:u}=this,s=a?.pictures,[,o,p,d]=i;if(!a||!s||i.length!=4||O(n)!="f32"||L[n.storage]!="f32")return v("input",`\`${n.name}\` is not an input for pictures: give numbers`);let[b,x]=A(e),[y,C]=R(b,x,s.resize,s.crop),h=s.crop.length?[...s.crop].reverse():y,P=s.channels=="L"?1:3;(h[0]!=d||h[1]!=p||P!=o)&&v("input",`a picture of ${b}x${x} becomes ${h[0]}x${h[1]} with ${P} channels, but \`${n.name}\` is ${d}x${p} with ${o}`);let f=new DataView(new ArrayBuffer(M));[d,p,t*o*d*p,o].forEach((c,m)=>f.setUint32(4*m,c,!0)),[b,x,...y,...C].forEach((c,m)=>f.setFloat32(16+4*m,c,!0)),f.setUint32(40,s.channels=="BGR"?1:0,!0);for(let c=0;c<o;c++){let[m,z]=[a.mean[c]??a.mean[0]??0,a.std[c]??a.std[0]??1];f.setFloat32(48+4*c,s.pixelMax/z,!0),f.setFloat32(64+4*c,-m/z,!0)}u.queue.writeBuffer(this.params,0,f.buffer);let T=this.external(e),$=T??this.copied(e,b,x).createView(),U=this.pipeline(!!T),{buffer:_,offset:F,size:I}={buffer:l,offset:n.place.offset,size:n.place.size},H=u.createBindGroup({layout:U.getBindGroupLayout(0),entries:[{binding:0,resource:{buffer:this.params}},{binding:1,resource:$},{binding:2,resource:{buffer:_,offset:F,size:I}}]}),G=u.createCommandEncoder(),g=G.beginComputePass();g.setPipeline(U),g.setBindGroup(0,H),g.dispatchWorkgroups(Math.ceil(d/8),Math.ceil(p/8)),g.end(),u.queue.submit([G.finish()])}external(e){if(E(e))try{return this.device.importExternalTexture({source:e})}catch{return}}pipeline(e){let[t,n]=e?["texture_external","textureLoad(picture, vec2i(x, y))"]:["texture_2d<f32>","textureLoad(picture, vec2i(x, y), 0)"],i=()=>this.device.createShaderModule({code:D(t,n)});return this.pipelines[t]??=this.device.createComputePipeline({label:"picture",layout:"auto",compute:{module:i()}})}copied(e,t,n){let{device:i}=this;if(this.texture?.width!=t||this.texture.height!=n){this.texture?.destroy();let l=GPUTextureUsage.TEXTURE_BINDING|GPUTextureUsage.COPY_DST|GPUTextureUsage.RENDER_ATTACHMENT;this.texture=i.createTexture({label:"picture",size:[t,n],format:"rgba8unorm",usage:l})}let a={texture:this.texture,premultipliedAlpha:!1};try{i.queue.copyExternalImageToTexture({source:e},a,[t,n])}catch(l){if(!E(e))throw l;let u=new OffscreenCanvas(t,n);u.getContext("2d").drawImage(e,0,0),i.queue.copyExternalImageToTexture({source:u},a,[t,n])}return this.texture}};function R(r,e,t,n){let[i,a]=t,l=t.length?t.length==2?[a,i]:r<=e?[i,Math.floor(i*e/r)]:[Math.floor(i*r/e),i]:[r,e],u=(s,o)=>{if(o===void 0)return 0;if(o>s)return-Math.floor((o-s)/2);let p=Math.floor((s-o)/2);return p+((s-o)%2&&p%2?1:0)};return[l,[u(l[0],n[1]),u(l[1],n[0])]]}export{B as PictureReader,R as placement};
