// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda.h"
#include "facet/log.h"
#include "layers.h"
#include "op_dims.h"
typedef struct {
    void *handle;
    fct_status (*describe)(fct_cuda *b, const char *json,int);
    void (*destroy)(fct_cuda *b);
    fct_status (*bn_prepare)(fct_cuda *b, fct_cuda_plan *p);
    void (*bn_release)(fct_cuda_plan *p);
    const fct_cuda_family *conv;
} lib;
typedef struct { int sm, mps, smem; long long mem; int l2; const char *name; } card;
static const card cards[] = {
 {80, 108, 166912, 85899345920LL, 41943040, "NVIDIA A100-SXM4-80GB"},
 {90, 132, 232448, 85017493504LL, 52428800, "NVIDIA H100 80GB HBM3"},
 {100, 148, 232448, 192000000000LL, 132644864, "NVIDIA B200"}};
static double now(void){struct timespec t; clock_gettime(CLOCK_MONOTONIC,&t); return (double)t.tv_sec+1e-9*(double)t.tv_nsec;}
int main(int argc,char**argv){
  lib l; l.handle=dlopen(argv[1],RTLD_LAZY); if(!l.handle){puts(dlerror());return 1;}
  *(void**)&l.describe=dlsym(l.handle,"fct_cuda_dnn_describe"); *(void**)&l.destroy=dlsym(l.handle,"fct_cuda_dnn_destroy");
  *(void**)&l.bn_prepare=dlsym(l.handle,"fct_dnn_bn_prepare"); *(void**)&l.bn_release=dlsym(l.handle,"fct_dnn_bn_release"); l.conv=dlsym(l.handle,"fct_cuda_conv");
  int sm=atoi(argv[2]); int prec=atoi(argv[3]); int64_t batch=atoi(argv[4]); int what=atoi(argv[5]);
  const card*c=NULL; for(int i=0;i<3;i++) if(cards[i].sm==sm) c=&cards[i];
  char js[1500]; snprintf(js,sizeof js,"{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,\"multiProcessorCount\":%d,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":%d,\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1,\"totalGlobalMem\":%lld,\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,\"l2CacheSize\":%d,\"cudaDeviceId\":0,\"deviceVer\":%d,\"driverVer\":13000,\"deviceName\":\"%s\"}",c->mps,c->smem,c->mem,c->l2,sm*10,c->name);
  fct_cuda b={0}; b.precision=(fct_precision)prec; b.kept=prec==FCT_PRECISION_BF16?FCT_KEPT_BF16:prec==FCT_PRECISION_FP16?FCT_KEPT_F16:FCT_KEPT_F32; b.sm=sm;b.multiprocessors=c->mps;
  
  if(l.describe(&b,js,argc>6)){puts(fct_fail_text());return 1;}
  fct_layers ly={0};
  const char*nets[]={"resnet18","resnet50","iresnet50"}; 
  for(int i=0;i<3;i++) for(int s=224;s>=112;s/=2) if(fct_layers_add(&ly,nets[i],s,batch)){puts(fct_fail_text());return 1;}
  printf("%d layers\n",ly.n); int bad=0; size_t big=0; double T[2]={0};
  for(int i=0;i<ly.n;i++){ fct_op_desc*d=&ly.at[i]; int isbn=d->op==FCT_OP_BN_FWD||d->op==FCT_OP_BN_BWD; if(what!=2&&isbn!=what) continue;
    fct_cuda_plan p={0}; p.base.desc=*d; p.b=&b; double t=now();
    fct_status s=isbn?l.bn_prepare(&b,&p):l.conv->prepare(&b,&p); t=now()-t; T[isbn]+=t;
    char key[200]; if(isbn){fct_plane_dims v=fct_op_plane_dims(d); snprintf(key,200,"%s n%d c%d h%d add%d relu%d prelu%d",fct_op_name(d->op),(int)v.n,(int)v.c,(int)v.h,d->attr.bn.add,d->attr.bn.relu,d->attr.bn.prelu);} else {fct_conv_dims v=fct_op_conv_dims(d); snprintf(key,200,"%s n%d c%d h%d k%d r%d s%d add%d",fct_op_name(d->op),(int)v.n,(int)v.c,(int)v.h,(int)v.k,v.r,v.stride,d->op==FCT_OP_CONV_BWD_DATA?d->attr.conv.add:0);}
    printf("%-50s %s ws %.2f MB %.2f s\n",key,s?fct_status_name(s):"ok",(double)p.workspace_bytes/1e6,t); if(s){bad++; printf("   %s\n",fct_fail_text()); fct_fail_clear();}
    if(p.workspace_bytes>big) big=p.workspace_bytes; fflush(stdout);
    if(isbn) l.bn_release(&p); else l.conv->release(&p);
  }
  printf("bad %d largest ws %.1f MB; conv %.1f s bn %.1f s\n",bad,(double)big/1e6,T[0],T[1]); l.destroy(&b); fct_layers_release(&ly); (void)argc; return bad!=0; }
