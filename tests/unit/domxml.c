/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <libxml/xmlmemory.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/units.h"
#include "plan/policy.h"
#include "virt/domxml.h"

#define MIB KIB_PER_MIB
#define UUID "6f1c8a2e-0000-4000-8000-0123456789ab"
#define NS "xmlns:memsched='" DOMXML_NAMESPACE "'"
#define PLAIN "<domain><name>vm</name><memory>4194304</memory>"

/* ---- device facts ---- */

static const char typical[] =
    "<domain type='kvm' id='7'>\n"
    "  <name>web</name>\n"
    "  <uuid>" UUID "</uuid>\n"
    "  <title>memory</title>\n"
    "  <metadata>\n"
    "    <memsched:memory " NS " managed=\"yes\">\n"
    "      <memsched:min unit=\"MiB\">512</memsched:min>\n"
    "      <memsched:max unit=\"GiB\">2</memsched:max>\n"
    "      <memsched:weight>250</memsched:weight>\n"
    "    </memsched:memory>\n"
    "    <libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'/>\n"
    "  </metadata>\n"
    "  <memory unit='KiB'>4194304</memory>\n"
    "  <currentMemory unit='MiB'>1024</currentMemory>\n"
    "  <memtune><hard_limit unit='GiB'>8</hard_limit></memtune>\n"
    "  <memoryBacking><locked/><hugepages/><allocation mode='immediate'/></memoryBacking>\n"
    "  <devices>\n"
    "    <hostdev mode='subsystem' type='pci' managed='yes'/>\n"
    "    <memory model='virtio-mem'/>\n"
    "    <memballoon model='virtio' autodeflate='on'><stats period='5'/></memballoon>\n"
    "  </devices>\n"
    "</domain>\n";

static void test_all_facts(void **state)
{
	struct domxml d;

	(void)state;
	assert_int_equal(domxml_read(typical, strlen(typical), &d), 0);
	assert_string_equal(d.name, "web");
	assert_string_equal(d.uuid, UUID);
	assert_int_equal(d.domain_id, 7);
	assert_int_equal(d.device.maximum_kib, 4096 * MIB);
	assert_int_equal(d.device.current_kib, 1024 * MIB);
	assert_int_equal(d.device.hard_limit_kib, 8192 * MIB);
	assert_int_equal(d.device.period_s, 5);
	assert_true(d.device.balloon && d.device.autodeflate && d.device.locked && d.device.hugepages);
	assert_true(d.device.passthrough && d.device.virtio_mem && d.device.preallocated);
	assert_true(d.hints.present && !d.hints.opted_out && d.hints.has_min && d.hints.has_max);
	assert_int_equal(d.hints.min_kib, 512 * MIB);
	assert_int_equal(d.hints.max_kib, 2048 * MIB);
	assert_int_equal(d.hints.weight, 250);
	assert_int_equal(d.hints.n_faults, 0);
	domxml_clear(&d);
	assert_null(d.name);
}

/* The facts as a word of letters, so that a row can name those that hold and deny the others. */
static const char *facts_of(const struct device *device, char letters[10])
{
	const struct {
		bool holds;
		char letter;
	} fact[] = {
	    {device->balloon, 'b'},    {device->bare, 'n'},         {device->autodeflate, 'a'},
	    {device->locked, 'l'},     {device->hugepages, 'h'},    {device->passthrough, 'p'},
	    {device->virtio_mem, 'v'}, {device->preallocated, 'i'}, {device->reporting, 'r'},
	    {device->numa_bound, 'u'},
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(fact) / sizeof(fact[0]); i++)
		if (fact[i].holds)
			letters[n++] = fact[i].letter;
	letters[n] = '\0';
	return letters;
}

static const struct {
	const char *body, *facts;
} fact_rows[] = {
    {"", ""},
    {"<devices/>", ""},
    {"<devices><memballoon/></devices>", "b"},
    {"<devices><memballoon model='none'/></devices>", "n"},
    {"<devices><memballoon model='virtio-transitional'/></devices>", "b"},
    {"<devices><memballoon model='virtio' autodeflate='off'/></devices>", "b"},
    {"<devices><memballoon model='virtio' autodeflate='on'/></devices>", "ba"},
    {"<memballoon model='virtio'/>", ""},
    {"<memoryBacking><locked/></memoryBacking>", "l"},
    {"<locked/>", ""},
    {"<memoryBacking><hugepages><page size='2' unit='M'/></hugepages></memoryBacking>", "h"},
    {"<memoryBacking><allocation mode='immediate'/></memoryBacking>", "i"},
    {"<memoryBacking><allocation mode='ondemand'/></memoryBacking>", ""},
    {"<memoryBacking><allocation threads='8'/></memoryBacking>", ""},
    {"<numatune><memory mode='strict' nodeset='0'/></numatune>", "u"},
    {"<numatune><memory mode='restrictive' nodeset='0'/></numatune>", "u"},
    {"<numatune><memnode cellid='1' mode='strict' nodeset='0'/></numatune>", "u"},
    {"<numatune><memory mode='preferred' nodeset='0'/><memnode cellid='0' mode='restrictive' nodeset='1'/></numatune>",
     "u"},
    {"<numatune><memory mode='preferred' nodeset='0'/></numatune>", ""},
    {"<numatune><memory mode='interleave' nodeset='0-1'/><memnode cellid='0' mode='preferred' nodeset='1'/></numatune>",
     ""},
    {"<devices><memory model='dimm'><source><nodemask>1</nodemask></source></memory></devices>", "u"},
    {"<numatune><memory mode='preferred' nodeset='0'/></numatune>"
     "<devices><memory model='dimm'><source><nodemask>1</nodemask></source></memory></devices>",
     ""},
    {"<numatune><memnode cellid='0' mode='preferred' nodeset='0'/></numatune>"
     "<devices><memory "
     "model='dimm'><source><nodemask>1</nodemask></source><target><node>1</node></target></memory></devices>",
     "u"},
    {"<devices><memory model='dimm'><source><pagesize>4</pagesize></source></memory></devices>", ""},
    {"<launchSecurity type='sev'/>", "p"},
    {"<devices><hostdev mode='subsystem' type='pci'/></devices>", "p"},
    {"<devices><hostdev mode='subsystem' type='mdev'/></devices>", "p"},
    {"<devices><hostdev mode='subsystem' type='usb'/></devices>", ""},
    {"<devices><hostdev mode='subsystem' type='scsi'/></devices>", ""},
    {"<devices><interface type='hostdev'/></devices>", "p"},
    {"<devices><interface type='vdpa'/></devices>", "p"},
    {"<devices><interface type='network'/></devices>", ""},
    {"<devices><disk type='nvme'/></devices>", "p"},
    {"<devices><disk type='vhostvdpa'/></devices>", "p"},
    {"<devices><disk type='file'/></devices>", ""},
    {"<devices><disk type='file'><source file='/a'/><backingStore type='nvme'><source type='pci'/><backingStore/>"
     "</backingStore></disk></devices>",
     "p"},
    {"<devices><disk type='file'><backingStore type='file'><backingStore type='block'><backingStore type='nvme'/>"
     "</backingStore></backingStore></disk></devices>",
     "p"},
    {"<devices><disk type='file'><backingStore type='file'><backingStore "
     "type='block'/></backingStore></disk></devices>",
     ""},
    {"<devices><disk type='file'><mirror type='nvme' job='copy'/></disk></devices>", "p"},
    {"<devices><disk type='file'><mirror type='file'><backingStore type='nvme'/></mirror></disk></devices>", "p"},
    {"<devices><disk type='file'><mirror type='file' file='/b'/></disk></devices>", ""},
    {"<devices><disk type='file'><source file='/a'><dataStore type='nvme'/></source></disk></devices>", "p"},
    {"<devices><disk type='file'><backingStore type='vhostvdpa'/></disk></devices>", "p"},
    {"<devices><disk type='file'><auth type='nvme'/></disk></devices>", ""},
    {"<devices><disk type='file'><source type='pci'/></disk></devices>", ""},
    {"<devices><controller type='nvme'/></devices>", ""},
    {"<devices><memballoon model='virtio' freePageReporting='on'/></devices>", "br"},
    {"<devices><memballoon model='virtio' freePageReporting='off'/></devices>", "b"},
    {"<devices><memory model='virtio-mem'/></devices>", "v"},
    {"<devices><memory model='dimm'/></devices>", ""},
    {"<x:devices xmlns:x='urn:x'><hostdev type='pci'/></x:devices>", ""},
    {"<devices><x:hostdev xmlns:x='urn:x' type='pci'/></devices>", ""},
    {"<devices><hostdev xmlns:x='urn:x' x:type='pci'/></devices>", ""},
    {"<description><hostdev type='pci'/></description>", ""},
    {"<domain><launchSecurity/></domain>", ""},
};

static void test_facts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fact_rows) / sizeof(fact_rows[0]); i++) {
		struct domxml d;
		char xml[1024], letters[10];

		snprintf(xml, sizeof(xml), PLAIN "%s</domain>", fact_rows[i].body);
		assert_int_equal(domxml_read(xml, strlen(xml), &d), 0);
		if (strcmp(facts_of(&d.device, letters), fact_rows[i].facts) != 0)
			fail_msg("%s: '%s'", xml, letters);
		domxml_clear(&d);
	}
}

static const struct {
	const char *xml;
	int64_t id;
	const char *name, *uuid;
	uint64_t maximum_kib, current_kib, hard_limit_kib;
	uint32_t period_s;
} value_rows[] = {
    {"<domain/>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain id='0'/>", 0, NULL, "", 0, 0, 0, 0},
    {"<domain id=''/>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain id='-3'/>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain id='3x'/>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain id='2147483647'/>", INT32_MAX, NULL, "", 0, 0, 0, 0},
    {"<domain id='2147483648'/>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><name/></domain>", -1, "", "", 0, 0, 0, 0},
    {"<domain><name>--help\n../&lt;x></name></domain>", -1, "--help\n../<x>", "", 0, 0, 0, 0},
    {"<domain><name>a</name><name>b</name></domain>", -1, "a", "", 0, 0, 0, 0},
    {"<domain><name>a<b/></name></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><uuid>6F1C8A2E-0000-4000-8000-0123456789AB</uuid></domain>", -1, NULL, UUID, 0, 0, 0, 0},
    {"<domain><uuid>6f1c8a2e-0000-4000-8000-0123456789a</uuid></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><uuid>" UUID "0</uuid></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><uuid>../c8a2e-0000-4000-8000-0123456789ab</uuid></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><uuid>6f1c8a2e00004000-8000-0123456789abcdef</uuid></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><devices><uuid>" UUID "</uuid></devices></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><memory>5</memory></domain>", -1, NULL, "", 5, 0, 0, 0},
    {"<domain><memory unit='MiB'>5</memory></domain>", -1, NULL, "", 5 * MIB, 0, 0, 0},
    {"<domain><memory unit='b'>1025</memory></domain>", -1, NULL, "", 2, 0, 0, 0},
    {"<domain><memory unit='fathom'>5</memory></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><memory>-5</memory></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><memory unit='EiB'>99999999999</memory></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><memory>5<!-- x --></memory><currentMemory><![CDATA[4]]></currentMemory></domain>", -1, NULL, "", 5, 4, 0,
     0},
    {"<domain><memtune><hard_limit>7</hard_limit></memtune></domain>", -1, NULL, "", 0, 0, 7, 0},
    {"<domain><memtune><hard_limit>9007199254740990</hard_limit></memtune></domain>", -1, NULL, "", 0, 0,
     (UINT64_C(1) << 53) - 2, 0},
    {"<domain><memtune><hard_limit>9007199254740991</hard_limit></memtune></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><memtune><hard_limit>9007199254740992</hard_limit></memtune></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><memtune><soft_limit>7</soft_limit></memtune></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><hard_limit>7</hard_limit></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><devices><memballoon><stats period='10'/></memballoon></devices></domain>", -1, NULL, "", 0, 0, 0, 10},
    {"<domain><devices><memballoon><stats/></memballoon></devices></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><devices><memballoon><stats period='-1'/></memballoon></devices></domain>", -1, NULL, "", 0, 0, 0, 0},
    {"<domain><devices><memballoon><stats period='9999999999'/></memballoon></devices></domain>", -1, NULL, "", 0, 0, 0,
     0},
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(value_rows) / sizeof(value_rows[0]); i++) {
		struct domxml d;

		assert_int_equal(domxml_read(value_rows[i].xml, strlen(value_rows[i].xml), &d), 0);
		if (d.domain_id != value_rows[i].id || !d.name != !value_rows[i].name ||
		    (d.name && strcmp(d.name, value_rows[i].name) != 0) || strcmp(d.uuid, value_rows[i].uuid) != 0 ||
		    d.device.maximum_kib != value_rows[i].maximum_kib ||
		    d.device.current_kib != value_rows[i].current_kib ||
		    d.device.hard_limit_kib != value_rows[i].hard_limit_kib ||
		    d.device.period_s != value_rows[i].period_s)
			fail_msg("%s", value_rows[i].xml);
		assert_false(d.hints.present);
		assert_int_equal(d.hints.weight, WEIGHT_DEFAULT);
		domxml_clear(&d);
	}
}

#define DEVICE(model, size) "<memory model='" model "'><target>" size "<node>0</node></target></memory>"

static const struct {
	const char *devices;
	uint64_t maximum, current, dimm, outside; /* MiB */
} memory_rows[] = {
    {"", 4096, 3072, 0, 0},
    {DEVICE("dimm", "<size unit='MiB'>512</size>"), 4096, 3072, 512, 0},
    {DEVICE("dimm", "<size>524288</size>") DEVICE("dimm", "<size unit='GiB'>1</size>"), 4096, 3072, 1536, 0},
    {DEVICE("nvdimm", "<size unit='MiB'>512</size><label><size unit='KiB'>128</size></label>"), 3584, 3072, 0, 512},
    {DEVICE("virtio-pmem", "<size unit='GiB'>2</size>"), 2048, 2048, 0, 2048},
    {DEVICE("sgx-epc", "<size unit='MiB'>64</size>"), 4032, 3072, 0, 64},
    {DEVICE("nvdimm", "<size unit='GiB'>1</size>") DEVICE("dimm", "<size unit='MiB'>256</size>"), 3072, 3072, 256,
     1024},
    {DEVICE("virtio-mem", "<size unit='GiB'>1</size>"), 4096, 3072, 0, 0},
    {DEVICE("nvdimm", "<size unit='GiB'>9</size>"), 0, 0, 0, 9216}, /* libvirt refuses it */
    {DEVICE("nvdimm", "<size unit='fathom'>1</size>"), 4096, 3072, 0, 0},
    {DEVICE("nvdimm", ""), 4096, 3072, 0, 0},
    {"<memory model='nvdimm'/>", 4096, 3072, 0, 0},
};

/* The balloon's maximum is <memory> without the devices that it does not reach. */
static void test_memory_devices(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(memory_rows) / sizeof(memory_rows[0]); i++) {
		struct domxml d;
		char xml[1024];

		snprintf(xml, sizeof(xml),
		         "<domain><devices>%s</devices><memory unit='GiB'>4</memory><currentMemory unit='GiB'>3"
		         "</currentMemory></domain>",
		         memory_rows[i].devices);
		assert_int_equal(domxml_read(xml, strlen(xml), &d), 0);
		if (d.device.maximum_kib != memory_rows[i].maximum * MIB ||
		    d.device.current_kib != memory_rows[i].current * MIB ||
		    d.device.dimm_kib != memory_rows[i].dimm * MIB ||
		    d.device.outside_kib != memory_rows[i].outside * MIB)
			fail_msg("%s: %llu %llu", xml, (unsigned long long)d.device.maximum_kib,
			         (unsigned long long)d.device.outside_kib);
		domxml_clear(&d);
	}
}

static void test_long_name_is_cut(void **state)
{
	struct domxml d;
	char xml[4096];
	int length = snprintf(xml, sizeof(xml), "<domain><name>%02000d</name></domain>", 0);

	(void)state;
	assert_int_equal(domxml_read(xml, (size_t)length, &d), 0);
	assert_int_equal(strlen(d.name), DOMXML_NAME_BYTES);
	domxml_clear(&d);
}

/* ---- hints ---- */

#define NONE UINT64_MAX /* the hint is not there */

static const struct hint_row {
	const char *attributes, *body;
	uint64_t min_kib, max_kib;
	uint32_t weight;
	bool opted_out;
	const char *faults; /* what the sentences say after "hint ", with their beginnings joined by | */
} hint_rows[] = {
    {"", "", NONE, NONE, 100, false, ""},
    {"managed='yes'", "", NONE, NONE, 100, false, ""},
    {"managed='no'", "<min unit='GiB'>1</min>", 1024 * MIB, NONE, 100, true, ""},
    {"managed='No'", "", NONE, NONE, 100, true, ""},
    {"managed='NO'", "", NONE, NONE, 100, true, ""},
    {"managed='false'", "", NONE, NONE, 100, true, ""},
    {"managed='False'", "", NONE, NONE, 100, true, ""},
    {"managed='oFF'", "", NONE, NONE, 100, true, ""},
    {"managed='0'", "", NONE, NONE, 100, true, ""},
    {"managed='YES'", "", NONE, NONE, 100, false, ""},
    {"managed='True'", "", NONE, NONE, 100, false, ""},
    {"managed='oN'", "", NONE, NONE, 100, false, ""},
    {"managed='1'", "", NONE, NONE, 100, false, ""},
    /* not understood: left alone */
    {"managed=''", "", NONE, NONE, 100, true, "managed '' is neither yes nor no: the guest is left alone"},
    {"managed='no '", "", NONE, NONE, 100, true, "managed 'no ' is neither yes nor no"},
    {"managed='n'", "", NONE, NONE, 100, true, "managed 'n' is neither yes nor no"},
    {"managed='nope'", "", NONE, NONE, 100, true, "managed 'nope' is neither yes nor no"},
    {"managed='10'", "", NONE, NONE, 100, true, "managed '10' is neither yes nor no"},
    {"managed='Yes&#x131;'", "", NONE, NONE, 100, true, "managed 'Yes"},
    {"x:managed='no' xmlns:x='urn:x'", "", NONE, NONE, 100, false, ""},
    {"x:managed='no' xmlns:x='" DOMXML_NAMESPACE "'", "", NONE, NONE, 100, false,
     "unknown hints are ignored: attribute 'managed'"},
    {"", "<min>2097152</min>", 2048 * MIB, NONE, 100, false, ""},
    {"", "<min unit=''>2097152</min>", 2048 * MIB, NONE, 100, false, ""},
    {"", "<min unit='mib'>512</min>", 512 * MIB, NONE, 100, false, ""},
    {"", "<min unit='MB'>1000</min>", 976563, NONE, 100, false, ""},
    {"", "<min><![CDATA[2097152]]></min>", 2048 * MIB, NONE, 100, false, ""},
    {"", "<min>20<!-- . -->97152</min>", 2048 * MIB, NONE, 100, false, ""},
    /* they hold, but are said */
    {"", "<min>2048</min>", 2048, NONE, 100, false, "min is only 2 MiB: a number without a unit is KiB"},
    {"", "<min>0</min>", 0, NONE, 100, false, "min is only 0 KiB"},
    {"", "<min>16383</min>", 16383, NONE, 100, false, "min is only 16 MiB: a number"},
    {"", "<min>16384</min>", 16384, NONE, 100, false,
     "min is 16 MiB, less than a guest of this size keeps without it (488 MiB)"},
    {"", "<min unit='MiB'>487</min>", 487 * MIB, NONE, 100, false, "min is 487 MiB, less than a guest"},
    {"", "<min unit='MiB'>488</min>", 488 * MIB, NONE, 100, false, ""},
    {"", "<max unit='GiB'>2</max>", NONE, 2048 * MIB, 100, false, ""},
    {"", "<max unit='GiB'>4</max>", NONE, 4096 * MIB, 100, false, ""},
    {"", "<max unit='GiB'>40</max>", NONE, 4096 * MIB, 100, false, ""},
    {"", "<min unit='GiB'>40</min>", 4096 * MIB, NONE, 100, false, ""},
    {"", "<min unit='GiB'>5</min><max unit='GiB'>6</max>", 4096 * MIB, 4096 * MIB, 100, false, ""},
    {"", "<min unit='GiB'>2</min><max unit='GiB'>2</max>", 2048 * MIB, 2048 * MIB, 100, false, ""},
    {"", "<target unit='MiB'>256</target>", NONE, NONE, 100, false, ""},
    {"", "<target>8192</target>", NONE, NONE, 100, false, "target is only 8 MiB: a number without a unit is KiB"},
    {"", "<target unit='%'>10</target>", NONE, NONE, 100, false, "target '10 %' is ignored: not a size such as 256"},
    {"", "<weight>1</weight>", NONE, NONE, 1, false, ""},
    {"", "<weight>10000</weight>", NONE, NONE, 10000, false, ""},
    {"", "<x:min xmlns:x='urn:x'>5</x:min>text<!-- comment -->", NONE, NONE, 100, false, ""},
    /* unknown: one sentence for all of them */
    {"", "<minimum unit='MiB'>2048</minimum>", NONE, NONE, 100, false,
     "unknown hints are ignored: element 'minimum' (did you mean <min>?)"},
    {"", "<Min unit='MiB'>2048</Min><Min>5</Min>", NONE, NONE, 100, false,
     "unknown hints are ignored: element 'Min' (did you mean <min>?)"},
    {"", "<ceiling>5</ceiling><MIN>5</MIN>", NONE, NONE, 100, false,
     "unknown hints are ignored: element 'ceiling', element 'MIN' (did you mean <min>?)"},
    {"", "<group><min>5</min></group><weight>7</weight>", NONE, NONE, 7, false,
     "unknown hints are ignored: element 'group'"},
    {"min='2048MiB' max='3072MiB' weight='200'", "", NONE, NONE, 100, false,
     "unknown hints are ignored: attribute 'min' (did you mean <min>?), attribute 'max' (did you mean <max>?), "
     "attribute 'weight' (did you mean <weight>?)"},
    {"manage='no'", "<managed>no</managed>", NONE, NONE, 100, false,
     "unknown hints are ignored: attribute 'manage' (did you mean the attribute managed?), "
     "element 'managed' (did you mean the attribute managed?)"},
    {"a1='' a2='' a3='' a4='' a5='' a6='' a7='' a8='' a9='' b1='' b2=''", "", NONE, NONE, 100, false,
     "unknown hints are ignored: attribute 'a1', attribute 'a2', attribute 'a3', attribute 'a4', attribute 'a5', "
     "attribute 'a6', attribute 'a7', attribute 'a8', attribute 'a9', attribute 'b1' and 1 more"},
    {"", "<min units='MiB'>2048</min>", NONE, NONE, 100, false,
     "min '2048' is ignored: unknown attribute 'units', did you mean 'unit'?"},
    {"", "<min bounds='x'>2048</min>", NONE, NONE, 100, false, "min '2048' is ignored: unknown attribute 'bounds'"},
    {"", "<min x:unit='MiB' xmlns:x='urn:x' unit='GiB'>2</min>", 2048 * MIB, NONE, 100, false, ""},
    /* refused, each alone */
    {"", "<min/>", NONE, NONE, 100, false, "min '' is ignored: not a size"},
    {"", "<min>1.5</min>", NONE, NONE, 100, false, "min '1.5' is ignored: not a size"},
    {"", "<min>-5</min>", NONE, NONE, 100, false, "min '-5' is ignored: not a size"},
    {"", "<min>0x10</min>", NONE, NONE, 100, false, "min '0x10' is ignored: not a size"},
    {"", "<min>1e6</min>", NONE, NONE, 100, false, "min '1e6' is ignored: not a size"},
    {"", "<min>NaN</min>", NONE, NONE, 100, false, "min 'NaN' is ignored: not a size"},
    {"", "<min>512MiB</min>", NONE, NONE, 100, false, "min '512MiB' is ignored: not a size"},
    {"", "<min unit='fathom'>5</min>", NONE, NONE, 100, false, "min '5 fathom' is ignored: not a size"},
    {"", "<min unit='Mi'>5</min>", NONE, NONE, 100, false, "min '5 Mi' is ignored: not a size"},
    {"", "<min unit='EiB'>16</min>", NONE, NONE, 100, false, "min '16 EiB' is ignored: too large"},
    {"", "<min>99999999999999999999</min>", NONE, NONE, 100, false, "min '99999999999999999999' is ignored: too large"},
    {"", "<min>5<b/></min>", NONE, NONE, 100, false, "min '5' is ignored: not a size"},
    {"", "<min><b>5</b></min>", NONE, NONE, 100, false, "min '' is ignored: not a size"},
    {"", "<min>0000000000000000000000000000000000000000000000000000000000000000000000000001</min>", NONE, NONE, 100,
     false, "min '000000000000000000000000000000000000000000000000000000000000000"},
    {"", "<min>5</min><min>6</min>", NONE, NONE, 100, false, "min '5' is ignored: it is there twice"},
    {"", "<min>5</min><max unit='GiB'>1</max><memsched:min>5</memsched:min>", NONE, 1024 * MIB, 100, false,
     "min '5' is ignored: it is there twice"},
    {"", "<max>x</max><weight>7</weight>", NONE, NONE, 7, false, "max 'x' is ignored: not a size"},
    {"", "<max unit='MiB'>487</max>", NONE, NONE, 100, false,
     "max '487 MiB' is ignored: below the least a guest of this size keeps (488 MiB)"},
    {"", "<max unit='MiB'>488</max>", NONE, 488 * MIB, 100, false, ""},
    {"", "<max>0</max>", NONE, NONE, 100, false, "max '0 KiB' is ignored: below the least"},
    {"", "<min unit='GiB'>3</min><max unit='GiB'>2</max>", 3072 * MIB, NONE, 100, false,
     "max '2 GiB' is ignored: below min (3 GiB)"},
    {"", "<max unit='GiB'>2</max><min unit='GiB'>5</min>", 4096 * MIB, NONE, 100, false,
     "max '2 GiB' is ignored: below min (5 GiB)"},
    {"", "<weight>0</weight>", NONE, NONE, 100, false, "weight '0' is ignored: not from 1 to 10000"},
    {"", "<weight>10001</weight>", NONE, NONE, 100, false, "weight '10001' is ignored: not from 1 to 10000"},
    {"", "<weight>-1</weight>", NONE, NONE, 100, false, "weight '-1' is ignored: not a whole number"},
    {"", "<weight>1.5</weight>", NONE, NONE, 100, false, "weight '1.5' is ignored: not a whole number"},
    {"", "<weight/>", NONE, NONE, 100, false, "weight '' is ignored: not a whole number"},
    {"", "<weight unit='k'>1</weight>", NONE, NONE, 100, false, "weight '1 k' is ignored: not a whole number"},
    {"", "<weight>1</weight><weight>1</weight>", NONE, NONE, 100, false, "weight '1' is ignored: it is there twice"},
    {"managed='maybe'", "<min>a</min><max>b</max><weight>c</weight>", NONE, NONE, 100, true,
     "managed 'maybe' is neither|min 'a' is ignored|max 'b' is ignored|weight 'c' is ignored"},
    {"", "<min>\xc2\x9b\x31m</min>", NONE, NONE, 100, false, "min '\\xC2\\x9B1m' is ignored"},
};

static void check_faults(const struct hint_row *row, const char *domain, const struct hints *h)
{
	char faults[512], *rest = faults, *part;
	unsigned n = 0;

	snprintf(faults, sizeof(faults), "%s", row->faults);
	while ((part = strsep(&rest, "|")) && *part) {
		char begin[600];

		snprintf(begin, sizeof(begin), "domain '%s': %s%s", domain,
		         strncmp(part, "unknown", strlen("unknown")) == 0 ? "" : "hint ", part);
		if (n >= h->n_faults || strncasecmp(h->fault[n], begin, strlen(begin)) != 0)
			fail_msg("'%s' in place of '%s'", n < h->n_faults ? h->fault[n] : "", begin);
		n++;
	}
	if (h->n_faults != n)
		fail_msg("%s: %s", row->body, h->fault[n]);
}

static void check_hints(const struct hint_row *row, const char *domain, const struct hints *h)
{
	assert_true(h->present);
	check_faults(row, domain, h);
	if (h->has_min != (row->min_kib != NONE) || h->has_max != (row->max_kib != NONE) ||
	    h->min_kib != (h->has_min ? row->min_kib : 0) || h->max_kib != (h->has_max ? row->max_kib : 0) ||
	    h->weight != row->weight || h->opted_out != row->opted_out || h->has_target != (h->target_kib != 0) ||
	    (h->weight != WEIGHT_DEFAULT && !h->has_weight) ||
	    h->has_managed != !strncmp(row->attributes, "managed=", strlen("managed=")))
		fail_msg("%s %s: %llu %llu %u", row->attributes, row->body, (unsigned long long)h->min_kib,
		         (unsigned long long)h->max_kib, h->weight);
}

/* Each row with the namespace as libvirt writes it, and as the default one, which the parts then have too. */
static void test_hints(void **state)
{
	static const struct {
		const char *before, *between, *after;
	} dress[] = {
	    {"<domain><metadata><o:o xmlns:o='urn:o'/><memsched:memory " NS " ", ">",
	     "</memsched:memory></metadata><name>vm\n1</name><memory unit='GiB'>4</memory></domain>"},
	    {"<domain><metadata><memory xmlns='" DOMXML_NAMESPACE "' " NS " ", ">",
	     "</memory></metadata><name>vm\n1</name><memory unit='GiB'>4</memory></domain>"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(hint_rows) / sizeof(hint_rows[0]); i++) {
		const struct hint_row *row = &hint_rows[i];

		for (size_t j = 0; j < sizeof(dress) / sizeof(dress[0]); j++) {
			struct domxml d = {0};
			char xml[1024];

			snprintf(xml, sizeof(xml), "%s%s%s%s%s", dress[j].before, row->attributes, dress[j].between,
			         row->body, dress[j].after);
			assert_int_equal(domxml_read(xml, strlen(xml), &d), 0);
			check_hints(row, "vm\\x0A1", &d.hints);
			domxml_clear(&d);
		}
	}
}

/* The element as a whole: which one counts. */
static const struct {
	const char *metadata;
	bool present;
	uint64_t min_kib;
	const char *fault;
} element_rows[] = {
    {"", false, 0, NULL},
    {"<metadata/>", false, 0, NULL},
    {"<metadata><memory><min>2097152</min></memory></metadata>", false, 0, NULL},
    {"<metadata><memsched:memory "
     "xmlns:memsched='urn:memsched:domain:2.0'><min>2097152</min></memsched:memory></metadata>",
     false, 0, NULL},
    {"<metadata><m:memory xmlns:m='" DOMXML_NAMESPACE "'><m:min>2097152</m:min></m:memory></metadata>", true, 2097152,
     NULL},
    {"<metadata><memory xmlns='" DOMXML_NAMESPACE "'><min>2097152</min></memory></metadata>", true, 2097152, NULL},
    {"<metadata><memsched:memory " NS "><min>2097152</min></memsched:memory><memsched:memory " NS
     "><min>6</min></memsched:memory></metadata>",
     true, 2097152, NULL},
    {"<metadata><m:memory xmlns:m='" DOMXML_NAMESPACE "'><m:min>2097152</m:min></m:memory></metadata>"
     "<metadata><m:memory xmlns:m='" DOMXML_NAMESPACE "'><m:min>6</m:min></m:memory></metadata>",
     true, 2097152, NULL},
    {"<metadata><a><memsched:memory " NS "><min>2097152</min></memsched:memory></a></metadata>", false, 0, NULL},
    {"<devices><memsched:memory " NS "><min>2097152</min></memsched:memory></devices>", false, 0, NULL},
    {"<metadata><memsched:limits " NS "><min>2097152</min></memsched:limits></metadata>", true, 0,
     "domain 'vm': hint element 'limits' is ignored: its name is not 'memory'"},
    /* undeclared entities, as libvirt hands them on */
    {"<metadata><o:o xmlns:o='urn:o' a='&a;'>&a;</o:o><memsched:memory " NS
     "><min>2097152</min></memsched:memory></metadata>",
     true, 2097152, NULL},
    {"<metadata><memsched:memory " NS "><min>2097152</min></memsched:memory>&a;</metadata>", true, 2097152, NULL},
    {"<metadata><memsched:memory " NS "><min>2097152&a;</min></memsched:memory></metadata>", true, 0,
     "domain 'vm': hint min '2097152' is ignored: not a size such as 512 with unit='MiB'"},
    {"<metadata><memsched:memory " NS "><min>2097152</min><max>&a;</max></memsched:memory></metadata>", true, 2097152,
     "domain 'vm': hint max '' is ignored: not a size such as 512 with unit='MiB'"},
    {"<metadata><memsched:memory " NS "><max>2097152</max>&a;<min>2097152</min></memsched:memory></metadata>", true, 0,
     "domain 'vm': hint element 'memory' is ignored: an undeclared entity stands in it"},
    {"<metadata><memsched:memory " NS "><min unit='M&a;B'>5</min></memsched:memory></metadata>", true, 0,
     "domain 'vm': hint element 'memory' is ignored: an undeclared entity stands in it"},
    {"<metadata><memsched:memory " NS " managed='no'>&a;</memsched:memory></metadata>", true, 0,
     "domain 'vm': hint element 'memory' is ignored: an undeclared entity stands in it"},
    {"<metadata><memsched:memory " NS " managed='&a;no'><min>2097152</min></memsched:memory></metadata>", true, 0,
     "domain 'vm': hint element 'memory' is ignored: an undeclared entity stands in it"},
};

static void test_element(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(element_rows) / sizeof(element_rows[0]); i++) {
		struct domxml d;
		char xml[1024];

		snprintf(xml, sizeof(xml), PLAIN "%s</domain>", element_rows[i].metadata);
		assert_int_equal(domxml_read(xml, strlen(xml), &d), 0);
		if (d.hints.present != element_rows[i].present || d.hints.min_kib != element_rows[i].min_kib ||
		    d.hints.opted_out != !!strstr(xml, "managed") || d.device.maximum_kib != 4096 * MIB)
			fail_msg("%s", xml);
		assert_int_equal(d.hints.n_faults, element_rows[i].fault ? 1 : 0);
		if (element_rows[i].fault)
			assert_string_equal(d.hints.fault[0], element_rows[i].fault);
		domxml_clear(&d);
	}
}

/* Of a domain of that name without <memory>, whose maximum is not known. */
static struct hints hints_of(const char *name, const char *parts)
{
	struct domxml d;
	struct hints h;
	char xml[8192];

	snprintf(xml, sizeof(xml),
	         "<domain><name>%s</name><metadata><memory xmlns='%s'>%s</memory></metadata></domain>", name,
	         DOMXML_NAMESPACE, parts);
	assert_int_equal(domxml_read(xml, strlen(xml), &d), 0);
	h = d.hints;
	domxml_clear(&d);
	return h;
}

static void test_without_a_maximum(void **state)
{
	struct hints h = hints_of("", "<max>9</max>");

	(void)state;
	assert_string_equal(
	    h.fault[0], "domain '': hint max '9 KiB' is ignored: below the least a guest of this size keeps (8 MiB)");
	h = hints_of("vm", "<max unit='TiB'>9</max>");
	assert_int_equal(h.max_kib, UINT64_C(9) << 30);
}

/* A hostile name leaves the sentence whole and on one line. */
static void test_hostile_name(void **state)
{
	char name[3001] = "\n\xe2\x80\xae";
	struct hints h;

	(void)state;
	memset(name + 4, '\x7f', sizeof(name) - 5);
	h = hints_of(name, "<min>x</min>");
	assert_non_null(strstr(h.fault[0], ": hint min 'x' is ignored: not a size such as 512 with unit='MiB'"));
	for (const char *c = h.fault[0]; *c; c++)
		assert_in_range(*c, ' ', '~');
}

/* ---- sizes as libvirt reads them ---- */

static const struct {
	const char *digits, *unit; /* NULL: no attribute */
} size_rows[] = {
    {"1024", NULL},
    {"1024", ""},
    {"1024", "k"},
    {"1024", "K"},
    {"1024", "KiB"},
    {"1024", "kib"},
    {"1024", "KIB"},
    {"1024", "KB"},
    {"1024", "kb"},
    {"1000001", "b"},
    {"1000001", "byte"},
    {"1024", "bytes"},
    {"1025", "BYTES"},
    {"7", "m"},
    {"7", "MiB"},
    {"7", "MB"},
    {"7", "mB"},
    {"7", "g"},
    {"7", "GiB"},
    {"7", "GB"},
    {"7", "t"},
    {"7", "TiB"},
    {"7", "TB"},
    {"7", "p"},
    {"7", "PiB"},
    {"7", "PB"},
    {"7", "e"},
    {"7", "EiB"},
    {"7", "EB"},
    {"8", "EiB"},
    {"9", "EB"},
    {"10", "EB"},
    {"16", "E"},
    {"99", "EiB"},
    {"7", "Mi"},
    {"7", "MiBs"},
    {"7", "M iB"},
    {"7", " MiB"},
    {"7", "MiB "},
    {"7", "bit"},
    {"7", "fathom"},
    {"7", "z"},
    {"7", "iB"},
    {"7", "1"},
    {"7", "kk"},
    {"", "MiB"},
    {"-7", "MiB"},
    {"1.5", "GiB"},
    {"1e3", "KiB"},
    {"0x400", "KiB"},
    {"007", "MiB"},
    {"7MiB", NULL},
    {"7 MiB", NULL},
    {"NaN", NULL},
    {"7 ", "MiB"},
    {"7,0", "MiB"},
    {"7", "KiB\xc2\xa0"},
    {"9007199254740991", "KiB"},
    {"9007199254740992", "KiB"},
    {"18446744073709551615", "b"},
    {"18446744073709551616", "b"},
    {"9223372036854775807", "b"},
};

/* What libvirt makes of a <memory> of that size; 0 where it refuses. */
static uint64_t ask_libvirt(virConnectPtr connection, const char *digits, const char *attribute)
{
	char xml[512];
	struct domxml d = {0};
	virDomainPtr domain;
	uint64_t kib;
	char *made;

	snprintf(xml, sizeof(xml),
	         "<domain type='test'><name>size</name><memory%s>%s</memory><os><type>hvm</type></os></domain>",
	         attribute, digits);
	domain = virDomainDefineXML(connection, xml);
	if (!domain)
		return 0;
	made = virDomainGetXMLDesc(domain, 0);
	assert_non_null(made);
	assert_int_equal(domxml_read(made, strlen(made), &d), 0);
	kib = d.device.maximum_kib;
	domxml_clear(&d);
	free(made);
	virDomainUndefine(domain);
	virDomainFree(domain);
	return kib;
}

static void ignore_error(void *arg, virErrorPtr error)
{
	(void)arg, (void)error;
}

/*
 * A hint is taken for what libvirt would take it, and refused where libvirt would refuse it. Blanks or a plus before
 * the digits, which libvirt takes since strtoull does, are refused here.
 */
static void test_sizes_as_libvirt(void **state)
{
	virConnectPtr connection;

	(void)state;
	virSetErrorFunc(NULL, ignore_error);
	connection = virConnectOpen("test:///default");
	assert_non_null(connection);
	for (size_t i = 0; i < sizeof(size_rows) / sizeof(size_rows[0]); i++) {
		char attribute[64] = "", part[256];
		struct hints h;
		uint64_t kib;

		if (size_rows[i].unit)
			snprintf(attribute, sizeof(attribute), " unit='%s'", size_rows[i].unit);
		snprintf(part, sizeof(part), "<min%s>%s</min>", attribute, size_rows[i].digits);
		h = hints_of("vm", part);
		kib = ask_libvirt(connection, size_rows[i].digits, attribute);
		if (h.has_min != (kib != 0) || h.min_kib != kib || h.voided != !kib)
			fail_msg("'%s'%s: %llu, libvirt %llu", size_rows[i].digits, attribute,
			         (unsigned long long)h.min_kib, (unsigned long long)kib);
	}
	virConnectClose(connection);
}

/* ---- documents that are refused ---- */

#define LAUGHS                                                                                                         \
	"<!DOCTYPE d [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"                                \
	"<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\">]>"

static const struct {
	const char *xml;
	int length; /* -1: all of it */
} refused_rows[] = {
    {"", -1},
    {" ", -1},
    {"<domain>", -1},
    {"<domain></domain", -1},
    {"<domain></domain><domain/>", -1},
    {"<domain/>garbage", -1},
    {"<network/>", -1},
    {"<d:domain xmlns:d='urn:d'/>", -1},
    {"<domain id='&a;'/>", -1},
    {"<domain><metadata>&a;</metadata>", -1},
    {"<domain><metadata>&a;</metadata></domain>&a;", -1},
    {"<domain><metadata>&a;</metadata></domain><domain/>", -1},
    {"<domain><metadata>&a</metadata></domain>", -1},
    {"<domain><metadata>&a;</metadata><name>\xff</name></domain>", -1},
    {"<domain><metadata a='&a;' a='&a;'/></domain>", -1},
    {"<domain><name>a</nome></domain>", -1},
    {"<domain id='1' id='2'/>", -1},
    {"<domain><name>\xff\xfe</name></domain>", -1},
    {"<domain><name>\x1b</name></domain>", -1},
    {"<domain\0/>", 10},
    {"\xef\xbb\xbf<domain/>", -1},
    {"\x7f\x45LF\2\1\1\0\0\0\0\0", 12},
    {"\xff\xfe<\0d\0o\0m\0a\0i\0n\0/\0>\0", 20},
    {"<!DOCTYPE domain><domain/>", -1},
    {"<!DOCTYPE domain []><domain/>", -1},
    {"<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>", -1},
    {"<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain><name>&a;</name></domain>", -1},
    {"<!DOCTYPE domain [<!ENTITY % a SYSTEM 'file:///etc/passwd'> %a;]><domain/>", -1},
    {"<!DOCTYPE domain [<!ATTLIST domain id CDATA '5'>]><domain/>", -1},
    {LAUGHS "<domain><name>&d;</name></domain>", -1},
    {LAUGHS "<domain id='&d;'/>", -1},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused_rows) / sizeof(refused_rows[0]); i++) {
		const char *xml = refused_rows[i].xml;
		size_t length = refused_rows[i].length < 0 ? strlen(xml) : (size_t)refused_rows[i].length;
		struct domxml d = {.domain_id = 4242};

		if (domxml_read(xml, length, &d) != -EBADMSG || d.domain_id != 4242)
			fail_msg("row %zu: %s", i, xml);
	}
}

/* n times a text, between two others; to be freed. */
static char *repeated(const char *before, const char *text, size_t n, const char *after)
{
	size_t length = strlen(text);
	char *all = malloc(strlen(before) + n * length + strlen(after) + 1), *end;

	assert_non_null(all);
	end = stpcpy(all, before);
	for (size_t i = 0; i < n; i++)
		end = stpcpy(end, text);
	strcpy(end, after);
	return all;
}

static const struct {
	const char *before, *text;
	size_t n;
	const char *after;
	int result;
} large_rows[] = {
    {"<domain><name>", "x", 7u << 20, "</name></domain>", 0},
    {"<domain><!--", "x", DOMXML_MAX_BYTES - 24, "--></domain>", 0},
    {"<domain><!--", "x", DOMXML_MAX_BYTES - 23, "--></domain>", -EMSGSIZE},
    {"<domain><devices>", "<disk/>", 100000, "</devices></domain>", 0},
    {"<domain>", "<a>", 200, "</domain>", -EBADMSG},
    {"<domain>", "<a>", 300, "</domain>", -EBADMSG},
    {"<domain><metadata><m:memory xmlns:m='" DOMXML_NAMESPACE "'>", "<m:min>1</m:min>", 100000,
     "</m:memory></metadata></domain>", 0},
    {"<domain><metadata><m:memory xmlns:m='" DOMXML_NAMESPACE "'><m:min>", "<b/>1", 100000,
     "</m:min></m:memory></metadata></domain>", 0},
    {"<domain><metadata>", "&a;", 64, "</metadata></domain>", 0},
    {"<domain><metadata>", "&a;", 65, "</metadata></domain>", -EBADMSG},
    {"<domain><metadata>", "<a:b/>", 100000, "</metadata></domain>", 0}, /* a prefix that is not declared */
    {"<domain><metadata>&a;", "<a:b/>", 1000, "</metadata></domain>", -EBADMSG},
};

static void test_large(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(large_rows) / sizeof(large_rows[0]); i++) {
		struct domxml d = {0};
		char *xml = repeated(large_rows[i].before, large_rows[i].text, large_rows[i].n, large_rows[i].after);
		int r = domxml_read(xml, strlen(xml), &d);

		if (r != large_rows[i].result || d.hints.has_min)
			fail_msg("row %zu: %d", i, r);
		domxml_clear(&d);
		free(xml);
	}
}

/* libxml2 ends at a depth of 256 by itself, without XML_PARSE_HUGE. */
static void test_depth(void **state)
{
	static const struct {
		size_t depth;
		int result;
	} rows[] = {{200, 0}, {300, -EBADMSG}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct domxml d = {0};
		char *close = repeated("", "</a>", rows[i].depth, "</domain>");
		char *xml = repeated("<domain>", "<a>", rows[i].depth, close);

		assert_int_equal(domxml_read(xml, strlen(xml), &d), rows[i].result);
		domxml_clear(&d);
		free(close);
		free(xml);
	}
}

/* ---- capabilities of a host ---- */

#define CELLS(cells) "<capabilities><host><topology><cells>" cells "</cells></topology></host></capabilities>"
#define CELL(pages) "<cell id='0'><memory unit='KiB'>4</memory>" pages "</cell>"
#define SMALL "<pages unit='KiB' size='4'>1000</pages>"
#define HUGE_2M(count) "<pages unit='KiB' size='2048'>" count "</pages>"

/* As libvirt has it of a host with 1 TiB, of which huge pages are 896 GiB. */
static const char typical_capabilities[] =
    "<capabilities>\n\n"
    "  <host>\n"
    "    <uuid>" UUID "</uuid>\n"
    "    <cpu>\n"
    "      <arch>x86_64</arch>\n"
    "      <topology sockets='1' dies='1' cores='32' threads='2'/>\n"
    "      <pages unit='KiB' size='4'/>\n"
    "      <pages unit='KiB' size='2048'/>\n"
    "      <pages unit='KiB' size='1048576'/>\n"
    "    </cpu>\n"
    "    <power_management><suspend_mem/></power_management>\n"
    "    <topology>\n"
    "      <cells num='2'>\n"
    "        <cell id='0'>\n"
    "          <memory unit='KiB'>527920140</memory>\n"
    "          <pages unit='KiB' size='4'>14537235</pages>\n"
    "          <pages unit='KiB' size='2048'>196608</pages>\n"
    "          <pages unit='KiB' size='1048576'>64</pages>\n"
    "          <distances><sibling id='0' value='10'/><sibling id='1' value='21'/></distances>\n"
    "          <cpus num='1'><cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0,64'/></cpus>\n"
    "        </cell>\n"
    "        <cell id='1'>\n"
    "          <memory unit='KiB'>528435916</memory>\n"
    "          <pages unit='KiB' size='4'>14666179</pages>\n"
    "          <pages unit='KiB' size='2048'>196608</pages>\n"
    "          <pages unit='KiB' size='1048576'>64</pages>\n"
    "        </cell>\n"
    "      </cells>\n"
    "    </topology>\n"
    "    <secmodel><model>apparmor</model><doi>0</doi></secmodel>\n"
    "  </host>\n"
    "  <guest><os_type>hvm</os_type></guest>\n"
    "</capabilities>\n";

static const struct {
	const char *xml;
	int result;
	uint64_t kib; /* 7: it is left as it was */
} capability_rows[] = {
    {typical_capabilities, 0, 896 * KIB_PER_GIB},
    {"<capabilities/>", 0, 0},
    {CELLS(""), 0, 0},
    {CELLS(CELL("")), 0, 0},
    {CELLS(CELL(SMALL)), 0, 0},
    {CELLS(CELL(SMALL HUGE_2M("3"))), 0, 6144},
    {CELLS(CELL(HUGE_2M("3") SMALL)), 0, 6144},
    {CELLS(CELL(SMALL) CELL(HUGE_2M("3"))), 0, 6144},
    {CELLS(CELL(HUGE_2M("3")) CELL(SMALL)), 0, 6144},
    {CELLS(CELL("<pages unit='KiB' size='64'>9</pages><pages unit='MiB' size='512'>2</pages>")), 0, 1048576},

    /* what is no number counts as absent */
    {CELLS(CELL(SMALL HUGE_2M("3") HUGE_2M("-1"))), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") HUGE_2M(""))), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") HUGE_2M("0x10"))), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") HUGE_2M("18446744073709551616"))), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") HUGE_2M("1<b/>"))), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") "<pages unit='KiB' size='0'>5</pages>")), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") "<pages unit='KiB' size='-2048'>5</pages>")), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") "<pages unit='KiB'>5</pages>")), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") "<pages unit='furlong' size='2048'>5</pages>")), 0, 6144},
    {CELLS(CELL(SMALL HUGE_2M("3") "<pages unit='KiB' size='99999999999999999999'>5</pages>")), 0, 6144},
    {CELLS(CELL("<pages unit='KiB' size='4'>-1</pages>" HUGE_2M("3"))), 0, 6144},

    /* no sum wraps */
    {CELLS(CELL(SMALL HUGE_2M("18446744073709551615"))), 0, UINT64_MAX},
    {CELLS(CELL(SMALL HUGE_2M("9007199254740991") HUGE_2M("9007199254740991"))), 0, UINT64_MAX},

    /* pages in another place are none of a cell */
    {CELLS(CELL("<pages unit='KiB' size='4'>1<pages unit='KiB' size='2048'>5</pages></pages>")), 0, 0},
    {CELLS(SMALL HUGE_2M("3")), 0, 0},
    {CELLS("<cell><cell>" SMALL HUGE_2M("3") "</cell></cell>"), 0, 0},
    {"<capabilities><cells>" CELL(SMALL HUGE_2M("3")) "</cells></capabilities>", 0, 0},

    {CELLS(CELL(SMALL HUGE_2M("&a;3"))), 0, 0},
    {"<domain/>", -EBADMSG, 7},
    {"", -EBADMSG, 7},
    {"<capabilities>", -EBADMSG, 7},
    {"<!DOCTYPE capabilities><capabilities/>", -EBADMSG, 7},
    {LAUGHS CELLS(CELL(SMALL HUGE_2M("&d;"))), -EBADMSG, 7},
};

static void test_capabilities(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(capability_rows) / sizeof(capability_rows[0]); i++) {
		const char *xml = capability_rows[i].xml;
		uint64_t kib = 7;
		int r = domxml_read_hugetlb(xml, strlen(xml), &kib);

		if (r != capability_rows[i].result || kib != capability_rows[i].kib)
			fail_msg("row %zu: %d, %llu KiB: %s", i, r, (unsigned long long)kib, xml);
	}
}

static void test_large_capabilities(void **state)
{
	char *xml = repeated("<capabilities><host><topology><cells>", CELL(SMALL HUGE_2M("3")), 50000,
	                     "</cells></topology></host></capabilities>");
	uint64_t kib;

	(void)state;
	assert_int_equal(domxml_read_hugetlb(xml, strlen(xml), &kib), 0);
	assert_int_equal(kib, 50000 * 6144);
	free(xml);
	kib = 7;
	xml = repeated("<capabilities><!--", "x", DOMXML_MAX_BYTES, "--></capabilities>");
	assert_int_equal(domxml_read_hugetlb(xml, strlen(xml), &kib), -EMSGSIZE);
	assert_int_equal(kib, 7);
	free(xml);
}

/* ---- without memory ---- */

static unsigned calls, fail_at; /* 0: none fails */

static bool fails(void)
{
	return ++calls == fail_at;
}

static void *try_malloc(size_t size)
{
	return fails() ? NULL : malloc(size);
}

static void *try_realloc(void *was, size_t size)
{
	return fails() ? NULL : realloc(was, size);
}

static char *try_strdup(const char *text)
{
	return fails() ? NULL : strdup(text);
}

/* A document is read whole or not at all. */
static void test_without_memory(void **state)
{
	static const char opted_out[] = PLAIN "<metadata><memsched:memory " NS " managed='no'>"
					      "<memsched:min unit='MiB'>512</memsched:min></memsched:memory></metadata>"
					      "<memoryBacking><locked/></memoryBacking></domain>";
	int r;

	(void)state;
	fail_at = 0;
	do {
		struct domxml d = {0};

		calls = 0;
		fail_at++;
		r = domxml_read(opted_out, strlen(opted_out), &d);
		assert_true(r == 0 || r == -ENOMEM);
		assert_int_equal(d.hints.opted_out, !r);
		assert_int_equal(d.hints.min_kib, r ? 0 : 512 * MIB);
		assert_int_equal(d.device.locked, !r);
		domxml_clear(&d);
	} while (calls >= fail_at);
	assert_true(fail_at > 20);
	fail_at = 0;
}

static void test_capabilities_without_memory(void **state)
{
	uint64_t kib;
	int r;

	(void)state;
	fail_at = 0;
	do {
		kib = 7;
		calls = 0;
		fail_at++;
		r = domxml_read_hugetlb(typical_capabilities, strlen(typical_capabilities), &kib);
		assert_true(r == 0 || r == -ENOMEM);
		assert_int_equal(kib, r ? 7 : 896 * KIB_PER_GIB);
	} while (calls >= fail_at);
	fail_at = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_facts),
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_memory_devices),
	    cmocka_unit_test(test_long_name_is_cut),
	    cmocka_unit_test(test_hints),
	    cmocka_unit_test(test_element),
	    cmocka_unit_test(test_without_a_maximum),
	    cmocka_unit_test(test_hostile_name),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_sizes_as_libvirt),
	    cmocka_unit_test(test_capabilities),
	    cmocka_unit_test(test_large_capabilities),
	    cmocka_unit_test(test_without_memory),
	    cmocka_unit_test(test_capabilities_without_memory),
	};

	xmlMemSetup(free, try_malloc, try_realloc, try_strdup);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
